from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.models.checkpoints import load_model
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.layers import ConvBNSiLU
from dwpose_infer.models.quantized_dwpose import QuantizedDWPose


@pytest.fixture(scope="module")
def plain():
    """A small network whose batch normalisation has seen something."""
    torch.manual_seed(4)
    model = DWPose(DWPoseArchitecture("t", 64, 64))
    for layer in model.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.1)
            layer.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias, std=0.2)
    return model.eval()


@pytest.fixture(scope="module")
def crops():
    return torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def measured(plain, crops):
    """The network with measured ranges, in training mode."""
    model = QuantizedDWPose.from_float(plain, measured_steps=1).train()
    with torch.no_grad():
        model(crops)
    return model


def test_while_it_measures_it_is_the_float_network(plain, crops):
    model = QuantizedDWPose.from_float(plain, measured_steps=2).train()
    assert model.is_measuring()
    with torch.no_grad():
        for ours, theirs in zip(model(crops), plain(crops), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_folding_leaves_the_same_network_in_float(plain, crops, measured):
    state = {name: value for name, value in measured.state_dict().items() if "." in name}
    folded = copy.deepcopy(plain)
    folded.load_state_dict(state)
    layer = next(layer for layer in folded.modules() if isinstance(layer, ConvBNSiLU))
    # What is left of the normalisation is exactly its bias.
    assert torch.all(layer.bn.running_var + layer.bn.eps == 1)
    assert torch.all(layer.bn.weight == 1) and torch.all(layer.bn.running_mean == 0)
    with torch.no_grad():
        for ours, theirs in zip(folded(crops), plain(crops), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_ranges_span_all_batches_that_are_measured(plain, crops):
    model = QuantizedDWPose.from_float(plain, measured_steps=2).train()
    stem = plain.backbone.stem
    with torch.no_grad():
        for batch in (crops[:2], crops[2:]):
            model(batch)
        first = stem[1](stem[0](crops))
    torch.testing.assert_close(model.ranges[0], torch.stack(first.aminmax()), rtol=1e-5, atol=1e-6)
    assert (model.ranges[:, 0] <= 0).all()  # 0 is a part of every range
    assert not model.is_measuring()
    before = model.ranges.clone()
    model(2 * crops)
    assert torch.equal(model.ranges, before)  # fixed from now on


def test_rounding_changes_little(plain, crops, measured):
    assert len(measured.ranges) == 116  # as many as the exporter rounds, see test_int8_trained
    measured.eval()
    with torch.no_grad():
        for ours, theirs in zip(measured(crops), plain(crops), strict=True):
            error = (ours - theirs).square().mean().sqrt() / theirs.std()
            assert 1e-4 < error < 0.15


def test_the_gradient_reaches_every_parameter_that_is_trained(crops, measured):
    outputs = measured(crops)
    sum(output.square().sum() for output in outputs).backward()
    for name, parameter in measured.named_parameters():
        frozen = name.endswith("bn.weight")
        assert parameter.requires_grad != frozen, name
        assert frozen or parameter.grad.abs().sum() > 0, name


def test_a_checkpoint_says_that_it_was_trained_so(tmp_path, crops, measured):
    state = {f"student.{name}": value for name, value in measured.state_dict().items()}
    state |= {f"teacher.{name}": value for name, value in state.items() if "backbone" in name}
    torch.save({"state_dict": state}, tmp_path / "best.pth")
    loaded = load_model(tmp_path / "best.pth")
    assert isinstance(loaded, QuantizedDWPose) and not loaded.training
    measured.eval()
    with torch.no_grad():
        for ours, theirs in zip(loaded(crops), measured(crops), strict=True):
            assert torch.equal(ours, theirs)
