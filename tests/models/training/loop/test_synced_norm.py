from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

import torch.distributed as dist
from torch import nn

from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.loop.distributed import (
    SyncedBatchNorm2d,
    World,
    synchronise_batch_norm,
)


@pytest.fixture
def one_process(tmp_path):
    """A group of one: the sums are its own, everything else is as with several."""
    dist.init_process_group(
        "gloo", store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1
    )
    yield
    dist.destroy_process_group()


@pytest.mark.parametrize("steps", [1, 3])
def test_forward_gradients_and_statistics_are_those_of_torch(one_process, steps):
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(5, eps=1e-3, momentum=0.2)
    nn.init.uniform_(plain.weight, 0.5, 2)
    nn.init.uniform_(plain.bias, -1, 1)
    synced = SyncedBatchNorm2d.like(nn.BatchNorm2d(5, eps=1e-3, momentum=0.2))
    synced.load_state_dict(plain.state_dict())
    for _ in range(steps):
        features = torch.randn(4, 5, 6, 7) * 3 + 2
        mix = torch.randn(4, 5, 6, 7)
        results = []
        for layer in (plain, synced):
            layer.zero_grad()
            given = features.clone().requires_grad_()
            output = layer(given)
            (output * mix).sum().backward()
            results.append((output, given.grad, layer.weight.grad, layer.bias.grad))
        for first, second in zip(*results, strict=True):
            torch.testing.assert_close(second, first, rtol=1e-4, atol=1e-4)
    for name, value in plain.state_dict().items():
        torch.testing.assert_close(synced.state_dict()[name], value, rtol=1e-5, atol=1e-6)
    assert int(synced.num_batches_tracked) == steps


def test_evaluation_uses_the_running_statistics():
    plain = nn.BatchNorm2d(3).eval()
    plain.running_mean.copy_(torch.tensor([1.0, 2.0, 3.0]))
    synced = SyncedBatchNorm2d.like(plain)
    features = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(synced(features), plain(features), rtol=0, atol=0)


def test_parameters_and_names_stay():
    torch.manual_seed(0)
    model = DWPose(DWPoseArchitecture("t", 64, 64))
    before = dict(model.named_parameters())
    names = list(model.state_dict())
    assert synchronise_batch_norm(model, World(torch.device("cpu"))) is model
    assert not any(isinstance(layer, SyncedBatchNorm2d) for layer in model.modules())
    synchronise_batch_norm(model, World(torch.device("cpu"), size=2))
    layers = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert layers
    assert all(isinstance(layer, SyncedBatchNorm2d) for layer in layers)
    assert list(model.state_dict()) == names
    for name, parameter in model.named_parameters():
        assert parameter is before[name]
