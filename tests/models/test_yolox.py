from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.models.checkpoints import load_model
from dwpose_infer.models.csp_darknet import Focus
from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture

# size, parameters with 80 classes, side of the input, GFLOPs of convolutions (2 per product)
PUBLISHED = [
    ("nano", 912_159, 416, 1.045106816),
    ("tiny", 5_055_855, 416, 6.412536),
    ("s", 8_968_255, 640, 26.6855424),
    ("m", 25_326_495, 640, 73.5303168),
    ("l", 54_208_895, 640, 155.292672),
    ("x", 99_071_455, 640, 281.409792),
]
SIZES = [row[0] for row in PUBLISHED]


def on_meta(size, classes=80):
    with torch.device("meta"):
        return YOLOX(YOLOXArchitecture(size, classes)).eval()


@pytest.mark.slow
@pytest.mark.parametrize(("size", "parameters", "side", "gflops"), PUBLISHED, ids=SIZES)
def test_size_and_cost_are_the_published_ones(count_macs, size, parameters, side, gflops):
    model = on_meta(size)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    pictures = torch.empty(1, 3, side, side, device="meta")
    products = count_macs(model, pictures, products_only=True)
    assert 2 * products == round(gflops * 1e9)


@pytest.mark.parametrize("size", SIZES)
def test_weights_have_the_published_names_shapes_types_and_order(shared, size):
    published = json.loads((shared / f"reference/keys/yolox-{size}.json").read_text())
    ours = [
        [name, list(value.shape), str(value.dtype).removeprefix("torch.")]
        for name, value in on_meta(size).state_dict().items()
    ]
    assert ours == published


def test_forward_equals_the_reference(shared):
    model = load_model(shared / "reference/checkpoints/yolox_nano.pth")
    with np.load(shared / "reference/golden/yolox_nano_416.npz") as golden, torch.inference_mode():
        output = model(torch.from_numpy(golden["input"])).numpy()
        expected = golden["raw"]
    assert output.shape == expected.shape
    assert np.abs(output - expected).max() <= 1e-5 * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize(
    ("height", "width", "classes"), [(416, 416, 80), (320, 448, 1), (32, 64, 3)]
)
def test_output_shape_follows_input_size_and_classes(height, width, classes):
    output = on_meta("nano", classes)(torch.empty(2, 3, height, width, device="meta"))
    cells = sum((height // stride) * (width // stride) for stride in (8, 16, 32))
    assert output.shape == (2, cells, 5 + classes)


def test_batch_normalisation_has_the_eps_and_momentum_of_the_reference():
    norms = [m for m in on_meta("nano").modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-3, 0.03)}


def test_before_training_everything_is_improbable():
    torch.manual_seed(0)
    model = YOLOX(YOLOXArchitecture("nano", classes=2)).eval()
    for predictor in (*model.head.obj_preds, *model.head.cls_preds):
        assert torch.allclose(predictor.bias.sigmoid(), torch.tensor(0.01))
    with torch.inference_mode():
        scores = model(torch.full((1, 3, 64, 64), 114.0))[..., 4:]
    assert scores.min() > 0 and scores.max() < 0.5


def test_every_parameter_gets_a_gradient():
    torch.manual_seed(0)
    model = YOLOX(YOLOXArchitecture("nano", classes=2))
    model(torch.rand(2, 3, 64, 64) * 255).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_focus_orders_the_pixels_of_a_square_by_columns():
    focus = Focus(1, 4)
    focus.conv = torch.nn.Identity()
    square = torch.tensor([[[[1.0, 3.0], [2.0, 4.0]]]])
    assert focus(square).flatten().tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize("wrong", [{"size": "xl"}, {"size": "s", "classes": 0}])
def test_impossible_architectures_are_refused(wrong):
    with pytest.raises(InvalidArgumentError):
        YOLOXArchitecture(**wrong)
