"""`dwpose-train labels`: heat maps read, looks that agree, the rule, and files as a whole."""

from __future__ import annotations

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from dwpose_infer import Predictor
from dwpose_infer.annotations import read_annotations
from dwpose_infer.errors import FormatError, InputError, InvalidArgumentError, ModelFormatError
from dwpose_infer.keypoints import PARTS
from dwpose_infer.models.training.cli import main
from dwpose_infer.models.training.labelling import run as labelling
from dwpose_infer.models.training.labelling.cli import treatments_of
from dwpose_infer.models.training.labelling.looks import look_at
from dwpose_infer.models.training.labelling.networks import (
    decode_heat_maps,
    open_labelling_network,
)
from dwpose_infer.models.training.labelling.rule import Seen, new_labels, treated_labels
from dwpose_infer.models.training.labelling.settings import LabelRule
from dwpose_infer.runtime import Runtime

DOT_XY = (184.3, 121.6)


@pytest.fixture
def dot_finder(save_graph):
    """A network of 17 heat maps, each the mean brightness of 4x4 pixels, 0.94 where all is white.

    Its input is 48x64; a second output, as PP-TinyPose's, has to be passed over.
    """

    def build(points=17, name="dot.onnx"):
        weights = np.full((points, 3, 4, 4), 0.94 / (4 * 4 * 3 * 2.4), np.float32)
        nodes = [
            onnx.helper.make_node("Conv", ["image", "weights"], ["raw"], strides=[4, 4]),
            onnx.helper.make_node("Relu", ["raw"], ["maps"]),
            onnx.helper.make_node("Flatten", ["maps"], ["flat"], axis=2),
            onnx.helper.make_node("ArgMax", ["flat"], ["place"], axis=1, keepdims=0),
        ]
        return save_graph(
            nodes,
            {"image": (np.float32, ["N", 3, 64, 48])},
            {"place": (np.int64, ["M"]), "maps": (np.float32, ["N", points, 16, 12])},
            {"weights": weights},
            name=name,
        )

    return build


def dot_picture(path, *, xy=DOT_XY, size_wh=(360, 270), sigma=22.0):
    columns, rows = np.meshgrid(np.arange(size_wh[0]), np.arange(size_wh[1]))
    height = 255 * np.exp(-((columns - xy[0]) ** 2 + (rows - xy[1]) ** 2) / (2 * sigma**2))
    cv2.imwrite(str(path), np.repeat(height.round().astype(np.uint8)[..., None], 3, axis=2))


@pytest.fixture
def dots(tmp_path):
    """Two pictures with a dot; four persons: without points, with far ones, near ones, a crowd."""
    for name in ("a.png", "b.png"):
        dot_picture(tmp_path / name)
    images = [
        {"id": number, "file_name": name, "width": 360, "height": 270, "kept": "yes"}
        for number, name in ((7, "a.png"), (8, "b.png"))
    ]

    def person(number, image, label, points=(), **fields):
        flat = np.zeros((17, 3))
        for index, xyv in points:
            flat[index] = xyv
        return {
            "id": number,
            "image_id": image,
            "category_id": 1,
            "iscrowd": 0,
            "bbox": [94.0, 31.0, 180.0, 181.0],
            "area": 32580.0,
            "num_keypoints": len(points),
            "keypoints": flat.ravel().tolist(),
            "label": label,
            **fields,
        }

    annotations = [
        person(1, 7, "box"),
        person(2, 7, "auto", [(0, (20, 20, 2)), (5, (184.7, 122.5, 1))], mine=3),
        person(3, 8, "human", [(0, (20, 20, 2))]),
        person(4, 8, "box", bbox=[60, 40, 20, 20]),
        person(5, 8, "box", iscrowd=1),
    ]
    document = {"info": {"year": 1}, "images": images, "annotations": annotations}
    (tmp_path / "boxes.json").write_text(json.dumps(document))
    return tmp_path


def options(folder, teacher, **changes):
    given = {
        "annotations": folder / "boxes.json",
        "images": folder,
        "teacher": str(teacher),
        "out": folder / "labels.json",
        "rule": LabelRule(),
        "treatments": {},
        "runtime": Runtime(threads=1),
    }
    return labelling.LabellingOptions(**{**given, **changes})


def written(folder):
    document = json.loads((folder / "labels.json").read_text())
    return document, {person["id"]: person for person in document["annotations"]}


def gaussians(centers, *, shape=(64, 48), sigma=2.0, height=0.8):
    columns, rows = np.meshgrid(np.arange(shape[1]), np.arange(shape[0]))
    maps = [
        height * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * sigma**2))
        for x, y in centers
    ]
    return np.array(maps, np.float32)[None]


def test_peaks_are_found_between_cells():
    centers = [(10.3, 20.7), (30.0, 5.49), (24.25, 50.75)]
    peaks, scores = decode_heat_maps(gaussians(centers))
    assert np.abs(peaks[0] - centers).max() < 0.01
    assert scores[0] == pytest.approx(
        [0.8 * np.exp(-0.18 / 8), 0.8 * np.exp(-0.2401 / 8), 0.7876], abs=1e-3
    )


def test_peaks_on_the_rim_and_flat_maps_stay_in_their_cell():
    maps = np.concatenate([gaussians([(0.3, 20.4)]), gaussians([(46.6, 62.8)])], axis=1)
    flat = np.full((1, 1, 64, 48), 0.25, np.float32)
    peaks, scores = decode_heat_maps(np.concatenate([maps, flat], axis=1))
    assert peaks.tolist() == [[[0.0, 20.0], [47.0, 63.0], [0.0, 0.0]]]
    assert scores[0, 2] == 0.25


def test_a_dot_is_where_it_is_at_every_scale(tmp_path, dot_finder):
    dot_picture(tmp_path / "a.png")
    image = cv2.imread(str(tmp_path / "a.png"))
    boxes = np.array([[94, 31, 274, 212], [60, 15, 330, 255]], np.float32)
    backend, network = open_labelling_network(dot_finder(), Runtime(threads=1))
    with backend:
        assert (network.input_size_wh, len(network.layout)) == ((48, 64), 17)
        looks = look_at(network, image, boxes)
    assert looks.points.shape == (2, 17, 2)
    assert np.array_equal(looks.points, looks.points[:, :1].repeat(17, axis=1))
    # A cell of this network is the mean of four pixels, so its maps peak 1.5 pixels of the crop
    # before the dot; networks are trained to have the peak in the point's own place.
    crop_pixel = np.array([180, 270]) * 1.15 / 48
    distance = np.abs(looks.points[:, 0] + 1.5 * crop_pixel[:, None] - DOT_XY)
    assert (distance < crop_pixel[:, None]).all()  # a quarter of a cell
    assert (looks.spread < 0.03).all()  # of those 1.5 pixels, at three scales
    assert ((looks.scores > 0.5) & (looks.scores < 0.95)).all()


def test_other_graphs_are_refused_in_words(save_graph):
    node = onnx.helper.make_node("Identity", ["image"], ["maps"])
    shape = (np.float32, [1, 3, 64, 48])
    graph = save_graph([node], {"image": shape}, {"maps": shape})
    with pytest.raises(
        ModelFormatError, match=r"no pose network that can label.*heat map for each"
    ):
        open_labelling_network(graph, Runtime(threads=1))


def seen(points, scores, spread=0.0):
    everything = np.zeros((133, 2))
    everything[: len(points)] = points
    filled = np.zeros(133, np.float32)
    filled[: len(scores)] = scores
    return Seen(everything, filled, np.full(133, spread, np.float32), 100.0, (200, 150))


def test_only_sure_points_become_labels():
    points = np.tile([50.0, 60.0], (17, 1))
    points[3] = (200.0, 60.0)  # beyond the right edge
    scores = np.full(17, 0.41)
    scores[0] = 0.4
    labels = new_labels(seen(points, scores), LabelRule())
    assert labels.shape == (133, 3)
    assert np.flatnonzero(labels[:, 2]).tolist() == [1, 2, *range(4, 17)]
    assert labels[1].tolist() == [50, 60, 2]
    assert labels[0].tolist() == labels[3].tolist() == [0, 0, 0]
    assert new_labels(seen(points, scores, spread=0.05), LabelRule()) is None


@pytest.mark.parametrize(
    ("sure", "enough"),
    [([0, 1, 2, 5, 6], True), ([0, 1, 2, 3, 5], False), ([0, 1, 5, 6], False)],
)
def test_persons_need_enough_sure_points(sure, enough):
    scores = np.zeros(17)
    scores[sure] = 0.9
    found = new_labels(seen(np.full((17, 2), 9.0), scores), LabelRule())
    assert (found is not None) == enough
    assert (
        new_labels(seen(np.full((17, 2), 9.0), np.ones(17)), LabelRule(least_side_px=101)) is None
    )


def test_treatments_of_labels():
    labels = np.zeros((133, 3))
    labels[:4] = [[50, 60, 2], [50, 60, 1], [50, 60, 2], [50, 60, 2]]
    places = [(54, 60), (61, 60), (57, 60), (90, 60), (10, 20)]
    view = seen(places, [0.45, 0.6, 0.6, 0.5, 0.6])
    kept, nothing = treated_labels(labels, view, LabelRule(), "keep")
    assert kept is labels and not nothing.added + nothing.removed + nothing.averaged
    filled, counts = treated_labels(labels, view, LabelRule(), "fill")
    assert filled[:5].tolist() == [*labels[:4].tolist(), [10, 20, 2]]
    assert (counts.added, counts.removed, counts.averaged) == (1, 0, 0)
    checked, counts = treated_labels(labels, view, LabelRule(), "check")
    assert checked[:5].tolist() == [[50, 60, 2], [0, 0, 0], [50, 60, 2], [50, 60, 2], [10, 20, 2]]
    assert (counts.added, counts.removed, counts.averaged) == (1, 1, 0)
    mean, counts = treated_labels(labels, view, LabelRule(), "mean")
    assert mean[:5].tolist() == [[52, 60, 2], [0, 0, 0], [50, 60, 2], [50, 60, 2], [10, 20, 2]]
    assert (counts.added, counts.removed, counts.averaged) == (1, 1, 1)


def test_a_rule_of_impossible_numbers_is_refused():
    with pytest.raises(InvalidArgumentError, match=r"most_spread is -0\.1"):
        LabelRule(most_spread=-0.1)
    with pytest.raises(InvalidArgumentError, match="least_score is nan"):
        LabelRule(least_score=float("nan"))


def test_words_of_treatments():
    assert treatments_of(["mean", "auto=check"]) == {"": "mean", "auto": "check"}
    with pytest.raises(InvalidArgumentError, match=r"--labelled auto=all: 'all' is none of keep"):
        treatments_of(["auto=all"])
    with pytest.raises(InvalidArgumentError, match="says twice what becomes of auto"):
        treatments_of(["auto=fill", "auto=mean"])


def test_a_file_is_labelled(dots, dot_finder, caplog):
    counts = labelling.label_persons(
        options(dots, dot_finder(), treatments={"auto": "check"}, name="dots")
    )
    document, persons = written(dots)
    before = json.loads((dots / "boxes.json").read_text())
    assert document["info"] == {"year": 1}
    assert document["images"] == before["images"]
    new = np.array(persons[1]["keypoints"]).reshape(17, 3)
    assert (new[:, 2] == 2).all() and np.abs(new[:, :2] - DOT_XY).max() < 9
    assert (new.round(2) == new).all()
    assert (persons[1]["label"], persons[1]["num_keypoints"]) == ("dots", 17)
    checked = np.array(persons[2]["keypoints"]).reshape(17, 3)
    assert checked[0].tolist() != [20, 20, 2] and checked[0, 2] == 0  # surely elsewhere
    assert checked[5].tolist() == [184.7, 122.5, 1]  # near enough, and left
    assert (persons[2]["label"], persons[2]["num_keypoints"], persons[2]["mine"]) == ("auto", 16, 3)
    assert "foot_kpts" in persons[1] and not persons[1]["foot_valid"]
    for untouched in (3, 4, 5):
        assert persons[untouched] == before["annotations"][untouched - 1]
    assert "1 crowds, 1 below 44 px, 1 with labels that are kept" in caplog.text
    assert str(counts["box"]) == "1 of 1 persons without points labelled, 17 points"
    assert str(counts["auto"]) == (
        "1 persons with points, 0.500 of 2 within 5% of the network's; 15 added, 1 removed, "
        "0 averaged"
    )
    assert not list(dots.glob("*.partial*"))
    assert len(read_annotations(dots / "labels.json")) == 5


def test_an_interrupted_run_goes_on(dots, dot_finder, monkeypatch):
    teacher = dot_finder()
    monkeypatch.setattr(labelling, "look_at", stop_after(1))
    given = options(dots, teacher, treatments={"": "fill"})
    with pytest.raises(KeyboardInterrupt):
        labelling.label_persons(given)
    assert not (dots / "labels.json").exists()
    monkeypatch.setattr(labelling, "look_at", stop_after(1))  # the other picture alone is left
    labelling.label_persons(given)
    monkeypatch.undo()
    _, resumed = written(dots)
    labelling.label_persons(given)
    assert written(dots)[1] == resumed


def test_a_run_with_other_settings_does_not_go_on(dots, dot_finder, monkeypatch):
    monkeypatch.setattr(labelling, "look_at", stop_after(1))
    given = {"treatments": {"": "fill"}}
    with pytest.raises(KeyboardInterrupt):
        labelling.label_persons(options(dots, dot_finder(), **given))
    monkeypatch.undo()
    other = dot_finder(points=133, name="other.onnx")
    with pytest.raises(InvalidArgumentError, match="interrupted run with another annotation file"):
        labelling.label_persons(options(dots, other, **given))
    counts = labelling.label_persons(options(dots, other, **given, restart=True))
    assert counts["box"].new_points == 133


def test_ids_have_to_be_unique(dots, dot_finder):
    document = json.loads((dots / "boxes.json").read_text())
    document["annotations"][1]["id"] = 1
    (dots / "boxes.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="two annotations have the same id"):
        labelling.label_persons(options(dots, dot_finder()))


def stop_after(times):
    done = []

    def look(*arguments, **named):
        if len(done) == times:
            raise KeyboardInterrupt
        done.append(1)
        return look_at(*arguments, **named)

    return look


def test_what_cannot_be_labelled_is_said(dots, dot_finder):
    teacher = dot_finder()
    with pytest.raises(InvalidArgumentError, match=r"labelled hand; it has auto, box, human"):
        labelling.label_persons(options(dots, teacher, treatments={"hand": "fill"}))
    with pytest.raises(InvalidArgumentError, match="is the annotation file itself"):
        labelling.label_persons(options(dots, teacher, out=dots / "boxes.json"))
    with pytest.raises(InputError, match=r"nobody to label \(1 crowds, 2 below 500 px"):
        labelling.label_persons(options(dots, teacher, rule=LabelRule(least_side_px=500)))
    document = json.loads((dots / "boxes.json").read_text())
    del document["images"][0]["width"]
    (dots / "boxes.json").write_text(json.dumps(document))
    with pytest.raises(FormatError, match="how large every picture is"):
        labelling.label_persons(options(dots, teacher))
    document["images"][0]["width"] = 359
    (dots / "boxes.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"a\.png is 360x270, image 7 of .* says 359x270"):
        labelling.label_persons(options(dots, teacher))
    (dots / "a.png").unlink()
    with pytest.raises(InputError, match=r"a\.png: there is no such picture"):
        labelling.label_persons(options(dots, teacher))


def test_the_command_labels_all_parts_with_a_pose_model(tmp_path, astronaut, capsys):
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(astronaut.read_bytes())
    with Predictor(flip_test=True) as predictor:
        person = predictor(folder / "a.jpg")[0]
    left, top, right, bottom = person.box_xyxy.astype(float).tolist()
    height, width = cv2.imread(str(astronaut)).shape[:2]
    box = {
        "id": 1,
        "image_id": 1,
        "category_id": 1,
        "bbox": [left, top, right - left, bottom - top],
    }
    (tmp_path / "boxes.json").write_text(
        json.dumps(
            {
                "images": [{"id": 1, "file_name": "a.jpg", "width": width, "height": height}],
                "annotations": [{**box, "area": 1.0, "iscrowd": 0}],
            }
        )
    )
    out = tmp_path / "labels.json"
    command = ["labels", "--annotations", str(tmp_path / "boxes.json"), "--images", str(folder)]
    assert main([*command, "--teacher", "dwpose-s-bundled", "--out", str(out)]) == 0
    captured = capsys.readouterr()
    assert captured.out.strip() == str(out)
    assert "no label: 1 of 1 persons without points labelled" in captured.err
    labels = read_annotations(out)
    assert labels.labels.tolist() == ["teacher"]
    given = labels.keypoints[0, :, 2] > 0
    assert given[PARTS["face"]].all() and given[5:7].all()
    assert not given[13:17].any() and not given[PARTS["feet"]].any()  # below the picture
    distance = np.linalg.norm(labels.keypoints[0, :, :2] - person.keypoints, axis=1)
    assert distance[given].max() < 0.05 * (bottom - top)
    assert labels.valid[0].tolist()[:2] == [False, True]


def test_no_torch_is_needed():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from dwpose_infer.models.training.cli import main\n"
        "try: main(['labels', '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
