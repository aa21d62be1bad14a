from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.models.checkpoints import load_model
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.simcc_head import GatedAttentionUnit, ScaleNorm

# size, height, width, parameters, tensors, mmengine's multiply-accumulates
PUBLISHED = [
    ("t", 256, 192, 5_519_779, 218, 552_146_816),
    ("s", 256, 192, 8_383_575, 254, 910_454_400),
    ("m", 256, 192, 17_953_039, 362, 2_226_774_656),
    ("l", 256, 192, 33_480_871, 470, 4_528_017_024),
    ("l", 384, 288, 33_610_919, 470, 10_078_446_208),
    ("x", 256, 192, 56_579_871, 578, 8_097_297_024),
    ("x", 384, 288, 56_709_919, 578, 18_108_347_008),
]
IDS = [f"{size}-{height}x{width}" for size, height, width, *_ in PUBLISHED]


def on_meta(size, height=256, width=192, keypoints=133):
    with torch.device("meta"):
        return DWPose(DWPoseArchitecture(size, height, width, keypoints)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "height", "width", "parameters", "tensors", "macs"), PUBLISHED, ids=IDS
)
def test_size_and_cost_are_the_published_ones(
    count_macs, size, height, width, parameters, tensors, macs
):
    model = on_meta(size, height, width)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    assert len(model.state_dict()) == tensors
    assert count_macs(model, torch.empty(1, 3, height, width, device="meta")) == macs


@pytest.mark.parametrize(("size", "height", "width"), [row[:3] for row in PUBLISHED], ids=IDS)
def test_weights_have_the_published_names_shapes_types_and_order(shared, size, height, width):
    published = json.loads((shared / f"reference/keys/{size}-{height}x{width}.json").read_text())
    model = on_meta(size, height, width)
    ours = [
        [name, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for name, value in model.state_dict().items()
    ]
    assert ours == published


@pytest.mark.slow
def test_cost_without_normalisation_and_pooling(count_macs):
    crops = torch.empty(1, 3, 256, 192, device="meta")
    products = count_macs(on_meta("t"), crops, products_only=True)
    assert products == pytest.approx(0.5481e9, abs=5e4)


def test_forward_equals_the_reference(shared):
    model = load_model(shared / "weights/dwpose-t-start.pth")
    with np.load(shared / "reference/golden/t-256x192.npz") as golden, torch.inference_mode():
        outputs = model(torch.from_numpy(golden["input"]))
        for output, name in zip(outputs, ("simcc_x", "simcc_y"), strict=True):
            expected = golden[name]
            assert output.shape == expected.shape
            error = np.abs(output.numpy() - expected).max()
            assert error <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(
    ("height", "width", "keypoints"), [(256, 192, 133), (384, 288, 17), (64, 96, 26)]
)
def test_output_shapes_follow_the_input_size(height, width, keypoints):
    model = on_meta("t", height, width, keypoints)
    simcc_x, simcc_y = model(torch.empty(2, 3, height, width, device="meta"))
    assert simcc_x.shape == (2, keypoints, 2 * width)
    assert simcc_y.shape == (2, keypoints, 2 * height)


def test_batch_normalisation_has_the_eps_and_momentum_of_the_reference():
    norms = [m for m in on_meta("s").modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}


def test_fresh_weights_are_drawn_as_in_the_reference():
    torch.manual_seed(0)
    model = DWPose(DWPoseArchitecture("t", 64, 64))
    head = model.head
    assert head.final_layer.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert head.final_layer.bias.abs().max() == 0
    for linear in (head.mlp[1], head.gau.uv, head.gau.o, head.cls_x, head.cls_y):
        assert linear.weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert head.gau.gamma.min() >= 0 and 0.9 < head.gau.gamma.max() <= 1  # uniform in 0..1
    assert torch.equal(head.gau.res_scale.scale, torch.ones(256))
    # Kaiming uniform with a = sqrt(5): the bound is 1 / sqrt(fan-in)
    kernel = model.backbone.stage4[0].conv.weight
    assert kernel.abs().max().item() == pytest.approx((192 * 9) ** -0.5, rel=1e-3)
    assert model.backbone.stage1[1].attention.fc.bias.abs().max() == 0


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = DWPose(DWPoseArchitecture("t", 64, 64, keypoints=5))
    simcc_x, simcc_y = model(torch.randn(2, 3, 64, 64))
    (simcc_x.square().sum() + simcc_y.square().sum()).backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_scale_norm_divides_by_the_root_mean_square():
    norm = ScaleNorm(4)
    vectors = torch.tensor([[3.0, -3.0, 3.0, -3.0], [0.0, 0.0, 0.0, 0.0]])
    expected = torch.tensor([[1.0, -1.0, 1.0, -1.0], [0.0, 0.0, 0.0, 0.0]])
    assert torch.allclose(norm(vectors), expected)


def test_attention_with_zero_output_weights_leaves_the_tokens():
    unit = GatedAttentionUnit(8, query_channels=4)
    torch.nn.init.zeros_(unit.o.weight)
    tokens = torch.randn(2, 5, 8)
    assert torch.equal(unit(tokens), tokens)


@pytest.mark.parametrize(
    "wrong",
    [
        {"size": "xl"},
        {"size": "t", "input_height": 250},
        {"size": "t", "input_width": 0},
        {"size": "t", "keypoints": 0},
    ],
)
def test_impossible_architectures_are_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        DWPoseArchitecture(**wrong)


def test_name_has_the_height_first():
    assert DWPoseArchitecture("l", 384, 288).name == "dwpose-l-384x288"


@pytest.mark.slow
def test_a_compiled_backbone_gives_the_same_features_whole_and_by_stages():
    torch.manual_seed(0)
    backbone = DWPose(DWPoseArchitecture("t", 64, 64)).backbone.eval()
    picture = torch.randn(1, 3, 64, 64)
    names = list(backbone.state_dict())
    graphs = []

    def count(graph, _inputs):
        graphs.append(graph)
        return graph.forward

    with torch.no_grad():
        expected = backbone.stage_features(picture)
        backbone.compile(backend=count)
        stages, last = backbone.stage_features(picture), backbone(picture)
    assert len(graphs) == 1  # one for the whole backbone, not one for each layer
    assert list(backbone.state_dict()) == names
    assert torch.equal(last, expected[-1])
    assert all(torch.equal(stage, wanted) for stage, wanted in zip(stages, expected, strict=True))
