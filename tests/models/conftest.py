from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference arrays beside the repository, where there is one."""
    folder = Path(__file__).resolve().parents[2].parent / "shared"
    if not folder.is_dir():
        pytest.skip("the reference arrays are not here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """The networks here are small: threads that wait for one another cost more than they gain."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def count_macs():
    """Count a network's multiply-accumulates as mmengine and fvcore do.

    Products are those of convolutions, linear layers and matrix products; normalisation costs 2
    per number and adaptive pooling 1 per number it reads.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    def count(model, inputs, *, products_only=False):
        others = 0

        def count_others(module, received, _output):
            nonlocal others
            others += received[0].numel() * (2 if isinstance(module, torch.nn.BatchNorm2d) else 1)

        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.AdaptiveAvgPool2d):
                module.register_forward_hook(count_others)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(inputs)
        products = counter.get_total_flops() // 2
        return products if products_only else products + others

    return count
