from __future__ import annotations

import numpy as np
import onnx
import pytest

torch = pytest.importorskip("torch")

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, ParityError
from dwpose_infer.export.exporter import ExportOptions, export_model
from dwpose_infer.export.from_checkpoint import load_network
from dwpose_infer.export.graph import BATCH, opset_of, shape_of
from dwpose_infer.export.metadata import read_facts
from dwpose_infer.export.sources import load_source
from dwpose_infer.models.checkpoints import build_model
from dwpose_infer.models.dwpose import DWPoseArchitecture
from dwpose_infer.models.yolox import YOLOXArchitecture

SMALL = DWPoseArchitecture("t", 96, 64)
DETECTOR = YOLOXArchitecture("nano", classes=2)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["official", "deploy"])
def test_pose_with_random_weights_passes_by_its_raw_outputs(checkpoint, tmp_path, form):
    path = checkpoint(SMALL)
    options = ExportOptions(form=form, allow_undecided=True)
    result = export_model(path, tmp_path / "out.onnx", options)
    assert result.parity.undecided is not None
    assert all(difference.largest < 1e-5 for difference in result.parity.raw.values())
    assert set(result.parity.raw) == {"simcc_x", "simcc_y"}
    model = onnx.load(result.path)
    facts = read_facts({entry.key: entry.value for entry in model.metadata_props})
    assert facts == result.facts
    assert (facts.kind, facts.form, facts.name) == ("pose", form, "dwpose-t-96x64")
    assert facts.input_size_wh == (64, 96)


def published_legacy(state):
    return {"meta": {"hook_msgs": {"score": np.float64(1)}}, "state_dict": state}


def runner_with_averaging(state):
    raw = {"steps": torch.tensor(9)} | {f"module.{name}": value for name, value in state.items()}
    return {"state_dict": state, "ema_state_dict": raw, "message_hub": {"iter": np.int64(3)}}


def distiller_stage_2(state):
    parts = {f"teacher.{name}": v for name, v in state.items() if name.startswith("backbone.")}
    parts |= {f"student.{name}": v for name, v in state.items() if name.startswith("head.")}
    return {"state_dict": parts}


@pytest.fixture(scope="module")
def plain(torch, tmp_path_factory):
    """The weights of a small network, and the source that they give."""
    torch.manual_seed(0)
    state = build_model(SMALL).state_dict()
    path = tmp_path_factory.mktemp("plain") / "plain.pth"
    torch.save({"state_dict": state}, path)
    return state, load_source(path)


@pytest.mark.slow
@pytest.mark.parametrize("wrap", [published_legacy, runner_with_averaging, distiller_stage_2])
def test_official_layouts_give_the_network_of_the_plain_weights(plain, tmp_path, wrap):
    """The same graph to the last byte, so that whatever is exported from it is the same, too."""
    state, expected = plain
    path = tmp_path / "layout.pth"
    torch.save(wrap(state), path, _use_new_zipfile_serialization=wrap is not published_legacy)
    source = load_source(path)
    assert source.model.graph.SerializeToString() == expected.model.graph.SerializeToString()
    pictures = np.random.default_rng(0).normal(size=(2, 3, 96, 64)).astype(np.float32)
    for name, array in source.reference(pictures).items():
        np.testing.assert_array_equal(array, expected.reference(pictures)[name])


@pytest.mark.slow
@pytest.mark.parametrize("form", ["official", "deploy"])
@pytest.mark.parametrize(
    "name", ["weights/dwpose-t-start.pth", "reference/checkpoints/yolox_nano.pth"]
)
def test_whole_checkpoints_in_the_published_layouts(reference, tmp_path, name, form):
    options = ExportOptions(form=form, allow_undecided=True)
    result = export_model(reference.parent / name, tmp_path / "out.onnx", options)
    assert all(difference.largest < 2e-5 for difference in result.parity.raw.values())


@pytest.mark.slow
def test_random_weights_need_permission(checkpoint, tmp_path):
    with pytest.raises(ParityError, match="not decidable"):
        export_model(checkpoint(SMALL), tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


@pytest.mark.slow
def test_official_pose_graph_is_clean(checkpoint):
    source = load_source(checkpoint(SMALL))
    graph = source.model.graph
    operators = {node.op_type for node in graph.node}
    assert not operators & {"BatchNormalization", "Shape", "Constant", "Identity", "If"}
    assert opset_of(source.model) == 17
    assert [value.name for value in graph.input] == ["input"]
    assert {value.name: shape_of(value) for value in graph.output} == {
        "simcc_x": (None, 133, 128),
        "simcc_y": (None, 133, 192),
    }
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param == BATCH
    names = {tensor.name for tensor in graph.initializer}
    assert "backbone.stem.stem.0.conv.weight" in names
    assert not any(name.startswith("onnx::") for name in names)


@pytest.mark.slow
@pytest.mark.parametrize(("fixed_size", "count"), [(True, 50), (False, None)])
def test_detector_with_random_weights(checkpoint, tmp_path, fixed_size, count):
    """At one size the count of the boxes is known; at any size there may be fewer than that."""
    path = checkpoint(DETECTOR)
    options = ExportOptions(
        detector_size_wh=(96, 64), allow_undecided=True, top_k=50, fixed_size=fixed_size
    )
    result = export_model(path, tmp_path / "out.onnx", options)
    assert result.facts.input_size_wh == (96, 64)
    assert result.parity.raw["output"].largest < 1e-5
    model = onnx.load(result.path)
    assert {value.name: shape_of(value) for value in model.graph.output} == {
        "boxes_xyxy": (None, count, 4),
        "scores": (None, count),
    }


@pytest.mark.parametrize(("size", "side"), [("nano", 416), ("s", 640)])
def test_published_sizes_of_detectors(size, side):
    from dwpose_infer.export.from_checkpoint import _published_size

    assert _published_size(size) == (side, side)


def test_weights_that_are_not_numbers_are_refused(checkpoint, tmp_path):
    def change(state):
        state["head.cls_x.weight"][3, 5] = float("nan")

    path = checkpoint(SMALL, change)
    with pytest.raises(ModelFormatError, match=r"not finite.*head\.cls_x\.weight"):
        export_model(path, tmp_path / "out.onnx")
    assert not (tmp_path / "out.onnx").exists()


def test_half_of_the_keys(checkpoint, tmp_path):
    def change(state):
        for name in list(state)[::2]:
            if name not in ("backbone.stem.2.conv.weight", "head.cls_x.weight"):
                state.pop(name)

    path = checkpoint(SMALL, change)
    with pytest.raises(ModelFormatError, match="missing"):
        export_model(path, tmp_path / "out.onnx")


def test_a_checkpoint_cut_short(checkpoint, tmp_path):
    path = checkpoint(SMALL)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(ModelFormatError, match="is cut off or damaged: its archive has no end"):
        export_model(path, tmp_path / "out.onnx")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"detector_size_wh": (64, 64)}, "fixed by its weights"),
        ({"opset": 9}, "opset 9"),
    ],
)
def test_options_that_do_not_fit(checkpoint, tmp_path, options, message):
    with pytest.raises(InvalidArgumentError, match=message):
        export_model(checkpoint(SMALL), tmp_path / "out.onnx", ExportOptions(**options))


def test_a_size_that_is_no_multiple_of_32(checkpoint):
    with pytest.raises(InvalidArgumentError, match="multiples of 32"):
        load_source(checkpoint(DETECTOR), detector_size_wh=(100, 64))


@pytest.mark.slow
def test_safetensors(torch, checkpoint, tmp_path):
    safetensors = pytest.importorskip("safetensors.torch")
    from dwpose_infer.models.checkpoints import read_state_dict

    state = read_state_dict(checkpoint(SMALL))
    path = tmp_path / "weights.safetensors"
    safetensors.save_file(state, path)
    source = load_source(path)
    assert source.name == "dwpose-t-96x64"
    pictures = np.zeros((1, 3, 96, 64), np.float32)
    expected = load_source(checkpoint(SMALL)).reference(pictures)
    np.testing.assert_array_equal(source.reference(pictures)["simcc_x"], expected["simcc_x"])


def test_networks_of_other_points(checkpoint):
    network = load_network(checkpoint(DWPoseArchitecture("t", 64, 64, keypoints=26)))
    assert network.name == "rtmpose-t-64x64-26-points"
    assert network.output_shapes == {"simcc_x": (26, 128), "simcc_y": (26, 128)}
    path = checkpoint(DWPoseArchitecture("t", 64, 64, keypoints=14))
    with pytest.raises(ModelFormatError, match=r"64x64-14-points, .* 14 keypoints; .*26 \(Halpe\)"):
        load_network(path)
