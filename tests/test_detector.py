from __future__ import annotations

import numpy as np
import onnx
import pytest

from dwpose_infer.backends import load_backend
from dwpose_infer.detector import Detector, DetectorOptions, decode_yolox
from dwpose_infer.errors import InferenceError, InvalidArgumentError, ModelFormatError
from dwpose_infer.letterbox import letterbox
from fake_backend import FakeBackend, spec

SIZE = (64, 32)  # width, height: grids of 8x4, 4x2 and 2x1 cells, 42 rows
ROWS = 8 * 4 + 4 * 2 + 2 * 1


def raw_rows(persons, classes=2):
    """Raw output with a person for each (row, dx, dy, log w, log h, objectness, score)."""
    rows = np.zeros((ROWS, 5 + classes), np.float32)
    for row, *values in persons:
        rows[row, :6] = values
    return rows


def raw_detector(rows, options=None, batch=None):
    fake = FakeBackend(
        spec("images", batch, 3, SIZE[1], SIZE[0]),
        spec("output", batch, *rows.shape),
        answer=lambda images: {"output": np.stack([rows] * len(images))},
    )
    return Detector(fake, options), fake


def picture(height=32, width=64):
    return np.full((height, width, 3), (10, 20, 30), np.uint8)


def test_decode_by_hand():
    # Row 9 is cell (1, 1) of stride 8; row 32 + 5 is cell (1, 1) of stride 16; the last row is
    # cell (1, 0) of stride 32.
    rows = raw_rows(
        [
            (9, 0.5, 0.25, 0.0, np.log(2), 0.9, 1.0),
            (37, 0.0, 0.0, 0.0, 0.0, 0.5, 0.8),
            (ROWS - 1, 0.5, 0.5, np.log(0.5), 0.0, 1.0, 0.7),
            (0, 0, 0, 0, 0, 0.5, 0.5),
        ]
    )
    boxes, scores = decode_yolox(rows, input_size_wh=SIZE, score_threshold=0.3)
    np.testing.assert_allclose(
        boxes,
        [[8, 2, 16, 18], [8, 8, 24, 24], [40, 0, 56, 32]],
        rtol=1e-6,
    )
    np.testing.assert_allclose(scores, [0.9, 0.4, 0.7], rtol=1e-6)


def test_other_classes_are_not_persons():
    rows = raw_rows([(9, 0.5, 0.5, 0, 0, 1.0, 0.0)])
    rows[9, 6] = 1.0
    detector, _ = raw_detector(rows)
    assert len(detector([picture()])[0]) == 0


def test_boxes_are_in_pixels_of_the_picture_best_first():
    rows = raw_rows([(9, 0.5, 0.5, 0, 0, 0.6, 1), (39, 0.5, 0.5, 0, 0, 0.9, 1)])
    detector, fake = raw_detector(rows)
    (found,) = detector([picture(64, 128)])  # twice the input's size: ratio 0.5
    np.testing.assert_allclose(found.scores, [0.9, 0.6], rtol=1e-6)
    np.testing.assert_allclose(found.boxes_xyxy[1], [16, 16, 32, 32])
    assert fake.calls[0].shape == (1, 3, 32, 64)


def test_network_sees_bgr_bytes_as_floats():
    detector, fake = raw_detector(raw_rows([]))
    detector([picture(16, 64)])
    blob = fake.calls[0]
    assert blob.dtype == np.float32
    for channel, value in enumerate((10, 20, 30)):
        assert (blob[0, channel, :16] == value).all()
        assert (blob[0, channel, 16:] == 114).all()


def test_options():
    rows = raw_rows(
        [(9, 0.5, 0.5, 0, 0, 0.9, 1), (10, -0.4, 0.5, 0, 0, 0.8, 1), (39, 0.5, 0.5, 0, 0, 0.7, 1)]
    )

    def count(**options):
        detector, _ = raw_detector(rows, DetectorOptions(**options))
        return len(detector([picture()])[0])

    assert count() == 2  # the second is the first, a tenth of a cell to the side
    assert count(nms_threshold=0.99) == 3
    assert count(score_threshold=0.75) == 1
    assert count(nms_threshold=0.99, max_persons=2) == 2


@pytest.mark.parametrize(
    "options",
    [{"score_threshold": 1.5}, {"nms_threshold": -0.1}, {"max_persons": 0}],
)
def test_bad_options(options):
    with pytest.raises(InvalidArgumentError, match=next(iter(options))):
        DetectorOptions(**options)


def test_dropping_at_the_final_threshold_at_once_is_exact(rng):
    """The official demo drops at 0.1, suppresses, then drops at 0.3: the same persons."""
    rows = raw_rows([])
    rows[:, :2] = rng.uniform(0, 1, (ROWS, 2))
    rows[:, 2:4] = rng.uniform(-0.5, 1.0, (ROWS, 2))
    rows[:, 4:6] = rng.uniform(0.3, 1, (ROWS, 2))
    at_once, _ = raw_detector(rows, DetectorOptions(score_threshold=0.3))
    in_two, _ = raw_detector(rows, DetectorOptions(score_threshold=0.1))
    (direct,), (loose,) = at_once([picture()]), in_two([picture()])
    assert 1 < len(direct) < len(loose)
    np.testing.assert_array_equal(direct.boxes_xyxy, loose.boxes_xyxy[loose.scores > 0.3])


def test_sdk_form():
    dets = np.array(
        [[[0, 0, 10, 10, 0.5], [4, 4, 20, 24, 0.9], [0, 0, 5, 5, 0.8], [0, 0, 1, 1, 0.0]]],
        np.float32,
    )
    fake = FakeBackend(
        spec("input", None, 3, 32, 64),
        spec("dets", None, None, 5),
        spec("labels", None, None, dtype=np.int64),
        answer=lambda images: {"dets": dets, "labels": np.array([[0, 0, 1, 0]])},
    )
    detector = Detector(fake)
    assert detector.form == "sdk"
    (found,) = detector([picture(16, 32)])  # ratio 2
    np.testing.assert_array_equal(found.boxes_xyxy, [[2, 2, 10, 12], [0, 0, 5, 5]])
    np.testing.assert_allclose(found.scores, [0.9, 0.5])


def test_deploy_form():
    boxes = np.array([[[0, 0, 9, 9], [0, 0, 9, 8], [20, 0, 40, 30], [0, 0, 0, 0]]], np.float32)
    fake = FakeBackend(
        spec("input", None, 32, 64, 3, dtype=np.uint8),
        spec("boxes_xyxy", None, 4, 4),
        spec("scores", None, 4),
        answer=lambda images: {
            "boxes_xyxy": boxes,
            "scores": np.array([[0.6, 0.5, 0.9, 0.0]], np.float32),
        },
    )
    detector = Detector(fake)
    assert (detector.form, detector.input_size_wh) == ("deploy", (64, 32))
    (found,) = detector([picture()])
    np.testing.assert_allclose(found.scores, [0.9, 0.6])
    assert fake.calls[0].shape == (1, 32, 64, 3)
    assert fake.calls[0].dtype == np.uint8


@pytest.mark.parametrize(
    ("image", "outputs"),
    [
        (spec("x", None, 3, 224, 224), [spec("logits", None, 1000)]),
        (spec("x", None, 3, 64, 64), [spec("output", None, 8400, 85)]),
        (spec("x", None, 3, 64, 64), [spec("output", None, 84, 5)]),
        (spec("x", None, 3, 64, 64), [spec("simcc_x", None, 133, 128), spec("simcc_y", 1)]),
    ],
)
def test_foreign_outputs(image, outputs):
    with pytest.raises(ModelFormatError, match="not a person detector") as caught:
        Detector(FakeBackend(image, *outputs))
    assert outputs[0].name in str(caught.value)


def test_free_input_size_is_refused():
    fake = FakeBackend(spec("images", 1, 3, None, None), spec("output", 1, None, 85))
    with pytest.raises(ModelFormatError, match="no fixed height"):
        Detector(fake)


def test_no_pictures():
    assert raw_detector(raw_rows([]))[0]([]) == []


@pytest.mark.parametrize("batch", ["N", 1])
def test_real_graph_pictures_do_not_influence_each_other(save_graph, rng, batch):
    """A linear 'network' in ONNX Runtime: row values are means over the picture's channels."""
    nodes = [
        onnx.helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
        onnx.helper.make_node("MatMul", ["mean", "mix"], ["flat"]),
        onnx.helper.make_node("Sigmoid", ["flat"], ["rows"]),
        onnx.helper.make_node("Reshape", ["rows", "shape"], ["output"]),
    ]
    path = save_graph(
        nodes,
        {"images": (np.float32, [batch, 3, 32, 64])},
        {"output": (np.float32, [batch, ROWS, 7])},
        {
            "mix": rng.normal(0, 0.05, (3, ROWS * 7)).astype(np.float32),
            "shape": np.array([-1, ROWS, 7]),
        },
    )
    images = [rng.integers(0, 256, (20 + 9 * i, 70 - 8 * i, 3), np.uint8) for i in range(4)]
    with load_backend("ort", path) as backend:
        detector = Detector(backend)
        together = detector(images)
        for image, expected in zip(images, together, strict=True):
            (alone,) = detector([image])
            np.testing.assert_array_equal(alone.boxes_xyxy, expected.boxes_xyxy)
        assert any(len(found) for found in together)


def test_letterbox_ratio_is_undone():
    _, ratio = letterbox(picture(50, 80), size_wh=SIZE)
    rows = raw_rows([(9, 0.5, 0.5, 0, 0, 0.9, 1)])
    (found,) = raw_detector(rows)[0]([picture(50, 80)])
    np.testing.assert_allclose(found.boxes_xyxy[0] * ratio, [8, 8, 16, 16], rtol=1e-6)


def deploy_detector(options=None, *, sides=(None, None), metadata=None):
    """Finds one person as large as the canvas, so that its size can be seen from outside."""

    def answer(images):
        height, width = images.shape[1:3]
        box = np.array([0, 0, width, height], np.float32)
        return {
            "boxes_xyxy": np.tile(box, (len(images), 1, 1)),
            "scores": np.full((len(images), 1), 0.9, np.float32),
        }

    fake = FakeBackend(
        spec("images", None, *sides, 3, dtype=np.uint8),
        spec("boxes_xyxy", None, None, 4),
        spec("scores", None, None),
        answer=answer,
        metadata={"dwpose_infer.input_size": "416x416"} if metadata is None else metadata,
    )
    return Detector(fake, options), fake


def test_pictures_get_a_canvas_cut_to_them_and_share_batches_by_shape():
    detector, fake = deploy_detector()
    assert detector.input_size_wh == (416, 416)
    wide, tall = picture(720, 1280), picture(1280, 720)
    found = detector([wide, tall, wide])
    assert [len(call) for call in fake.calls] == [2, 1]
    # Boxes come back in the order of the pictures, in pixels of each: 256 / (416 / 1280) rows.
    heights = [each.boxes_xyxy[0, 3] for each in found]
    np.testing.assert_allclose(heights, [787.69, 1280, 787.69], atol=0.01)


def test_the_square_stays_reachable():
    detector, fake = deploy_detector(DetectorOptions(square_input=True))
    detector([picture(720, 1280), picture(1280, 720)])
    assert [len(call) for call in fake.calls] == [2]
    detector, _ = deploy_detector(sides=(416, 416))
    (found,) = detector([picture(720, 1280)])
    assert found.boxes_xyxy[0, 3] == pytest.approx(1280)


def test_free_sides_need_the_exporters_word():
    with pytest.raises(ModelFormatError, match="no fixed height and width"):
        deploy_detector(metadata={})


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (4, np.nan, "values that are not numbers"),  # objectness
        (5, np.inf, "values that are not numbers"),  # score of the class "person"
        (2, np.inf, "values that are not numbers"),  # logarithm of the width
        (0, np.nan, "values that are not numbers"),
        (2, -200.0, "a box without width or height"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning")
def test_values_that_say_nothing_are_not_nobody(place, value, message):
    rows = raw_rows([(0, 0.5, 0.5, 2.0, 2.0, 0.9, 0.9)])
    rows[0, place] = value
    detector, _ = raw_detector(rows)
    with pytest.raises(InferenceError, match=f"the detector on a fake backend gave {message}"):
        detector([picture()])
