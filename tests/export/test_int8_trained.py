"""Networks that were trained for int8: the exported graph has exactly what was trained."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

torch = pytest.importorskip("torch")

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, ParityError
from dwpose_infer.export import exporter
from dwpose_infer.export.cli import main
from dwpose_infer.export.deploy import to_deploy_pose
from dwpose_infer.export.exporter import ExportOptions, export_model
from dwpose_infer.export.int8 import has_trained_grids, quantize_trained, take_trained_grids
from dwpose_infer.export.labelled import compare_on_labels
from dwpose_infer.export.parity import check_parity
from dwpose_infer.export.parity_report import judged_on_labels, require_parity
from dwpose_infer.export.pictures import official_input, shipped_samples
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.export.sources import load_source
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.fake_quantization import activation_scales
from dwpose_infer.models.quantized_dwpose import QuantizedDWPose
from dwpose_infer.simcc import decode_simcc

SIDE = 32


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Returns files of a network in float and as trained for int8, and the second one."""
    folder = tmp_path_factory.mktemp("trained")
    # With other seeds a sum may lie half way between two integers, where float32's last digit,
    # which depends on the order of summing, decides.
    torch.manual_seed(2)
    plain = DWPose(DWPoseArchitecture("t", SIDE, SIDE)).eval()
    with torch.no_grad():
        for layer in (plain.head.final_layer, plain.head.cls_x, plain.head.cls_y):
            layer.weight.mul_(30)
    torch.save({"state_dict": plain.state_dict()}, folder / "float.pth")
    model = QuantizedDWPose.from_float(plain, measured_steps=1).train()
    with torch.no_grad():
        model(pictures())
    torch.save({"state_dict": model.state_dict()}, folder / "best.pth")
    return folder / "float.pth", folder / "best.pth", model.eval()


@pytest.fixture(scope="module")
def source(trained):
    return load_source(trained[1])


@pytest.fixture(scope="module")
def integers(source):
    return quantize_trained(source.model)


def pictures():
    return torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(7))


def activation_grids(model):
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    return {
        node.input[0]: (stored[node.input[1]].item(), stored[node.input[2]].item())
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }


@pytest.mark.slow
def test_the_graph_computes_what_was_trained(trained, source, integers):
    model = trained[2]
    assert source.trained_for_int8 and has_trained_grids(source.model)
    with torch.no_grad():
        expected = [output.numpy() for output in model(pictures())]
    with GraphRunner(integers) as run:  # fused into integer kernels
        outputs = run({"input": pictures().numpy()})
    for name, values in zip(("simcc_x", "simcc_y"), expected, strict=True):
        np.testing.assert_allclose(outputs[name], values, rtol=0, atol=1e-5 * abs(values).max())
        assert values.std() > 1e-9
    reference = source.reference(pictures().numpy())
    np.testing.assert_allclose(reference["simcc_x"], expected[0], rtol=1e-6)


def test_the_grids_are_the_trained_ones_to_the_last_bit(trained, integers):
    model, result = trained[2], integers
    scales, zero_points = activation_scales(model.ranges)
    wanted = list(zip(scales.tolist(), map(int, zero_points.tolist()), strict=True))
    grids = activation_grids(result)
    pooled = [name for name in grids if "MaxPool" in name]
    # Nothing is lost and nothing added, but maxima, which keep their input's grid.
    assert len(grids) == len(wanted) + len(pooled) == 119
    assert sorted(grids[name] for name in grids if name not in pooled) == sorted(wanted)
    assert {grids[name] for name in pooled} <= set(wanted)
    stored = {tensor.name: tensor for tensor in result.graph.initializer}
    kinds = {
        stored[node.input[0]].data_type
        for node in result.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in stored
    }
    assert kinds == {onnx.TensorProto.INT8, onnx.TensorProto.INT32}  # weights and biases


@pytest.mark.slow
def test_the_deploy_form_gives_its_points(source):
    result = quantize_trained(to_deploy_pose(source.model))
    crops = np.random.default_rng(3).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)
    with GraphRunner(result) as run:
        outputs = run({"crops": crops})
    raw = source.reference(official_input("pose", crops))
    _, scores = decode_simcc(raw["simcc_x"], raw["simcc_y"])
    # The normalisation of colours is a part of the first convolution here: another last digit.
    np.testing.assert_allclose(outputs["scores"], scores, rtol=0, atol=0.05 * scores.max())
    assert outputs["keypoints"].shape == (2, 133, 2)


def test_marks_leave_no_trace_in_the_float_graph(source):
    plain, grids = take_trained_grids(source.model)
    assert not has_trained_grids(plain) and len(grids) == 116
    onnx.checker.check_model(plain, full_check=True)


@pytest.mark.slow
def test_marks_elsewhere_are_refused(source, copied):
    model = copied(source.model)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    scale = next(name for name in stored if stored[name].data_type == onnx.TensorProto.UINT8)
    step = next(node.input[1] for node in model.graph.node if node.op_type == "QuantizeLinear")
    output = first.output[0]
    marks = [
        onnx.helper.make_node("QuantizeLinear", [output, step, scale], ["extra_q"]),
        onnx.helper.make_node("DequantizeLinear", ["extra_q", step, scale], ["extra"]),
    ]
    for node in model.graph.node:
        node.input[:] = ["extra" if name == output else name for name in node.input]
    place = list(model.graph.node).index(first) + 1
    for offset, mark in enumerate(marks):
        model.graph.node.insert(place + offset, mark)
    with pytest.raises(ModelFormatError, match="1 are missing"):
        quantize_trained(model)


def test_a_trained_network_is_neither_calibrated_nor_exported_in_float(
    source, tmp_path, monkeypatch
):
    monkeypatch.setattr(exporter, "load_source", lambda *_, **__: source)
    for options, message in (
        (ExportOptions(), "give --precision int8"),
        (ExportOptions(precision="fp16"), "give --precision int8"),
        (ExportOptions(precision="int8", calibration=tmp_path), "leave --calibration away"),
    ):
        with pytest.raises(InvalidArgumentError, match=message):
            export_model("best.pth", tmp_path / "out.onnx", options)
    monkeypatch.setattr(
        exporter, "load_source", lambda *_, **__: replace(source, trained_for_int8=False)
    )
    with pytest.raises(InvalidArgumentError, match="--calibration FOLDER, or a checkpoint"):
        export_model("float.pth", tmp_path / "out.onnx", ExportOptions(precision="int8"))
    assert not list(tmp_path.iterdir())


class Measured:
    """Stands for `dwpose-eval`: a network in integers has these losses."""

    persons = 7

    def __init__(self, path, losses):
        rounded = any(node.op_type == "QuantizeLinear" for node in onnx.load(str(path)).graph.node)
        self.ap = 0.6 - (losses.get("AP", 0) if rounded else 0)
        self.pck = {
            part: 0.8 - (losses.get(part, 0) if rounded else 0) for part in ("body", "hands")
        }


@pytest.mark.parametrize(
    ("losses", "message"),
    [
        ({"AP": 0.0049, "body": 0.0029, "hands": -0.1}, None),
        ({"hands": 0.0031}, "PCK hands falls from 0.8000 to 0.7969"),
        ({"AP": 0.0051}, "AP falls from 0.6000 to 0.5949"),
        ({"AP": float("nan")}, "AP falls"),
    ],
)
def test_losses_on_labels_have_limits(source, integers, tmp_path, losses, message):
    plain, _ = take_trained_grids(source.model)
    compared = compare_on_labels(
        plain, integers, lambda path: Measured(path, losses), name="float", folder=tmp_path
    )
    found = compared.violations()
    assert found == [] if message is None else message in found[0] and len(found) == 1
    assert compared.figures["PCK body"].before == 0.8
    assert "on 7 labelled persons, beside float:" in compared.summary()


@pytest.mark.slow
def test_labels_judge_in_place_of_the_largest_distances(pose_source, integers, source, tmp_path):
    """A network whose points jump, and hit as well as before."""
    other = to_deploy_pose(pose_source.model)
    next(node for node in other.graph.node if node.output[0] == "keypoints").op_type = "Add"
    report = check_parity(
        pose_source,
        other,
        shipped_samples("pose", pose_source.input_size_wh),
        form="deploy",
        precision="int8",
    )
    distances = [line for line in report.violations if line.startswith("p99")]
    with pytest.raises(ParityError, match="labelled persons tell whether"):
        require_parity(replace(report, violations=tuple(distances)))
    with pytest.raises(ParityError, match=r"limit is 0\.001$"):  # decoding: no matter of labels
        require_parity(report)
    kept = {"median distance in px", "decoding in the graph against NumPy's, in px"}
    assert any(line.startswith("worst distance") for line in report.violations)
    plain, _ = take_trained_grids(source.model)
    for losses, lost in (({}, []), ({"AP": 0.1}, ["AP falls"])):
        labelled = compare_on_labels(
            plain, integers, lambda path, given=losses: Measured(path, given), name="float",
            folder=tmp_path,
        )  # fmt: skip
        judged = judged_on_labels(report, labelled)
        assert {line.split(" is ")[0] for line in judged.violations if " is " in line} == kept
        assert [line[:8] for line in judged.violations if " is " not in line] == lost
        assert judged.to_json()["labelled"]["persons"] == 7
        strict = judged_on_labels(replace(report, precision="fp32"), labelled)
        assert len(strict.violations) == len(report.violations) + len(lost)


@pytest.mark.slow
def test_an_export_with_labels(trained, tmp_path):
    plain, path, _ = trained
    out, report = tmp_path / "q.onnx", tmp_path / "q.json"
    options = ExportOptions(precision="int8", against=str(plain), allow_undecided=True)

    def export(**losses):
        return export_model(
            path, out, options, report=report, measure=lambda file: Measured(file, losses)
        )

    with pytest.raises(ParityError, match="PCK hands falls"):
        export(hands=0.1)
    assert not out.exists()
    assert json.loads(report.read_text())["parity"]["labelled"]["persons"] == 7
    result = export()
    assert any("beside dwpose-t-32x32" in line for line in result.parity.summary())
    assert out.stat().st_size == result.size_bytes


def test_labels_need_the_float_network(source, detector_source, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(exporter, "load_source", lambda *_, **__: source)
    arguments = ["best.pth", "--precision", "int8", "--out", str(tmp_path / "q.onnx")]
    assert main([*arguments, "--against", "float.pth"]) == 2
    assert "--against goes with --labels" in capsys.readouterr().err
    labels = ["--labels", str(tmp_path / "val.json"), str(tmp_path)]
    assert main([*arguments, *labels]) == 2
    assert "with --against" in capsys.readouterr().err
    assert main([*arguments, "--labels", "val.json", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().err
    assert main([*arguments[:1], "--out", "x", "--to", "triton", *labels]) == 2
    assert "--labels goes with --to onnx only" in capsys.readouterr().err
    monkeypatch.setattr(exporter, "load_source", lambda *_, **__: detector_source)
    assert main(["detector", *arguments[3:], *labels]) == 2
    assert "this is a detector" in capsys.readouterr().err
