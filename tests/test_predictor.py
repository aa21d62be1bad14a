from __future__ import annotations

import io
import multiprocessing
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import onnx
import pytest
from PIL import Image

from dwpose_infer import Predictor, zoo
from dwpose_infer.errors import (
    BackendUnavailableError,
    InferenceError,
    InputError,
    InvalidArgumentError,
    ModelFormatError,
    ModelNotFoundError,
)
from tolerances import BATCH_KEYPOINT_PX, BATCH_SCORE


@pytest.fixture(scope="module")
def predictor():
    with Predictor(score_threshold=0.2) as bundled:
        yield bundled


def test_portrait(predictor, astronaut):
    result = predictor(astronaut)
    assert len(result) >= 1
    assert result.keypoints.shape == (len(result), 133, 2)
    assert result.keypoints.dtype == result.scores.dtype == np.float32
    assert (np.diff(result.box_scores) <= 0).all()
    assert result.image_size == (512, 512)
    assert result.source == str(astronaut)


def test_several_pictures_equal_one_by_one(predictor, photos):
    together = predictor(photos)
    for path, result in zip(photos, together, strict=True):
        alone = predictor(path)
        assert result.source == alone.source == str(path)
        np.testing.assert_array_equal(alone.boxes_xyxy, result.boxes_xyxy)
        np.testing.assert_allclose(alone.keypoints, result.keypoints, atol=BATCH_KEYPOINT_PX)
        np.testing.assert_allclose(alone.scores, result.scores, atol=BATCH_SCORE)


@pytest.mark.slow
def test_an_iterator_is_read_as_results_are_asked_for(predictor, astronaut):
    taken = []

    def pictures():
        for index in range(40):
            taken.append(index)
            yield astronaut

    results = predictor(pictures())
    assert taken == []
    first = next(results)
    np.testing.assert_array_equal(first.keypoints, predictor(astronaut).keypoints)
    assert len(taken) <= 8 + 8 + 5  # crops for one batch, a group and those read ahead
    results.close()


def test_an_iterator_gives_what_a_list_gives(predictor, photos):
    for result, expected in zip(predictor(iter(photos)), predictor(photos), strict=True):
        assert result.source == expected.source
        np.testing.assert_array_equal(result.keypoints, expected.keypoints)
    assert list(predictor(iter([]))) == []
    found = list(predictor((each for each in [b"no picture", photos[0]]), on_error="return"))
    assert isinstance(found[0], InputError)
    assert len(found[1]) >= 1
    with pytest.raises(InputError):
        list(predictor(iter([b"no picture"])))
    with pytest.raises(InvalidArgumentError, match="boxes go with"):
        predictor(iter(photos), boxes=[None])


def test_open_files_and_streams_of_bytes(predictor, astronaut):
    expected = predictor(astronaut)
    with astronaut.open("rb") as file:
        result = predictor(file)
    assert result.source == str(astronaut)
    np.testing.assert_array_equal(result.keypoints, expected.keypoints)
    streamed, *_ = predictor([io.BytesIO(astronaut.read_bytes())])
    assert streamed.source is None
    np.testing.assert_array_equal(streamed.keypoints, expected.keypoints)


@pytest.mark.slow
@pytest.mark.parametrize("bad", [[0], [1], [3], [0, 1, 2, 3]])
def test_a_picture_that_cannot_be_read_costs_itself_alone(predictor, photos, bad):
    pictures = [*photos, photos[0]]
    good = predictor(pictures)
    given = [b"no picture" if i in bad else picture for i, picture in enumerate(pictures)]
    found = predictor(given, on_error="return")
    assert [isinstance(each, InputError) for each in found] == [i in bad for i in range(4)]
    for each, expected in zip(found, good, strict=True):
        if not isinstance(each, InputError):
            np.testing.assert_allclose(each.keypoints, expected.keypoints, atol=BATCH_KEYPOINT_PX)
    with pytest.raises(InputError):
        predictor(given)


def test_errors_are_returned_in_lists_alone(predictor, astronaut):
    assert predictor([], on_error="return") == []
    with pytest.raises(InvalidArgumentError, match="is for lists"):
        predictor(astronaut, on_error="return")
    with pytest.raises(InvalidArgumentError, match="on_error is 'skip'"):
        predictor([astronaut], on_error="skip")


@pytest.mark.slow
def test_batch_size_does_not_change_results(photos):
    boxes = [[[10 * i, 5 * i, 300 + 9 * i, 480 - 3 * i] for i in range(5)]] * len(photos)
    reference = None
    for max_batch in (1, 2, 7, 32):
        with Predictor(detector=None, max_batch=max_batch) as small:
            keypoints = np.concatenate([r.keypoints for r in small(photos, boxes=boxes)])
        if reference is None:
            reference = keypoints
        np.testing.assert_allclose(keypoints, reference, atol=BATCH_KEYPOINT_PX)


def test_given_boxes_keep_their_order_and_skip_the_detector(predictor, astronaut):
    boxes = [[100, 100, 200, 200], [20, 10, 400, 500]]
    result = predictor(astronaut, boxes=boxes)
    np.testing.assert_array_equal(result.boxes_xyxy, boxes)
    assert result.box_scores.tolist() == [1, 1]
    assert len(predictor(astronaut, boxes=[])) == 0
    assert len(predictor(astronaut, boxes=boxes[0])) == 1


def test_boxes_of_several_pictures(predictor, photos):
    one = [[20, 10, 400, 500]]
    results = predictor(photos[:2], boxes=[one, None])
    np.testing.assert_array_equal(results[0].boxes_xyxy, one)
    np.testing.assert_array_equal(results[1].boxes_xyxy, predictor(photos[1]).boxes_xyxy)


@pytest.mark.parametrize(
    ("boxes", "complaint"),
    [
        ([[1, 2, 3]], r"shape \(1, 3\)"),
        ([[10, 10, 5, 20]], "left < right"),
        ([[0, 0, np.nan, 20]], "left < right"),
        ([["a", "b", "c", "d"]], "not numbers"),
    ],
)
def test_bad_boxes(predictor, astronaut, boxes, complaint):
    with pytest.raises(InvalidArgumentError, match=complaint):
        predictor(astronaut, boxes=boxes)


def test_as_many_boxes_as_pictures(predictor, photos):
    with pytest.raises(InvalidArgumentError, match="1 entries for 2 pictures"):
        predictor(photos[:2], boxes=[[[0, 0, 9, 9]]])


def test_nobody_is_an_empty_result_unless_the_whole_picture_is_asked_for(predictor):
    grey = np.full((200, 300, 3), 114, np.uint8)
    nobody = predictor(grey)
    assert len(nobody) == 0
    assert nobody.keypoints.shape == (0, 133, 2)
    assert nobody.image_size == (300, 200)
    guess = predictor(grey, whole_image=True)
    np.testing.assert_array_equal(guess.boxes_xyxy, [[0, 0, 300, 200]])
    assert guess.box_scores.tolist() == [0]


def test_empty_list(predictor):
    assert predictor([]) == []


def test_without_detector(astronaut):
    with Predictor(detector=None) as pose_only:
        assert len(pose_only(astronaut, whole_image=True)) == 1
        with pytest.raises(InvalidArgumentError, match="no detector"):
            pose_only(astronaut)


def test_color_orders_agree(predictor, astronaut):
    rgb = np.asarray(Image.open(astronaut))
    from_file = predictor(astronaut)
    for result in (
        predictor(rgb, color="rgb"),
        predictor(np.ascontiguousarray(rgb[..., ::-1])),
        predictor(Image.open(astronaut)),
        predictor(astronaut.read_bytes()),
    ):
        np.testing.assert_array_equal(result.keypoints, from_file.keypoints)
        assert result.source is None
    assert not np.array_equal(predictor(rgb).scores, from_file.scores)


@pytest.fixture
def color_probes(save_graph):
    """A detector and a pose network that give back the colour they see.

    The detector finds one person whose box score is the first channel's mean; the pose network's
    scores are the three channels' means, normalisation undone by the test.
    """
    detector = save_graph(
        [
            onnx.helper.make_node("Cast", ["input"], ["floats"], to=onnx.TensorProto.FLOAT),
            onnx.helper.make_node("Transpose", ["floats"], ["images"], perm=[0, 3, 1, 2]),
            onnx.helper.make_node("ReduceMean", ["images"], ["mean"], axes=[2, 3], keepdims=0),
            onnx.helper.make_node("Slice", ["mean", "zero", "one", "one"], ["first"]),
            onnx.helper.make_node("Mul", ["first", "scale"], ["score"]),
            onnx.helper.make_node("Identity", ["box"], ["boxes_xyxy"]),
            onnx.helper.make_node("Reshape", ["score", "shape"], ["scores"]),
        ],
        {"input": (np.uint8, [1, 32, 32, 3])},
        {"boxes_xyxy": (np.float32, [1, 1, 4]), "scores": (np.float32, [1, 1])},
        {
            "zero": np.array([0]),
            "one": np.array([1]),
            "scale": np.float32(1 / 255),
            "box": np.array([[[2, 2, 30, 30]]], np.float32),
            "shape": np.array([1, 1]),
        },
        name="detector.onnx",
    )
    pose = save_graph(
        [
            onnx.helper.make_node("ReduceMax", ["input"], ["means"], axes=[2, 3], keepdims=1),
            onnx.helper.make_node("Slice", ["means", "zero", "one", "axis"], ["red"]),
            onnx.helper.make_node("Reshape", ["red", "shape"], ["column"]),
            onnx.helper.make_node("Expand", ["column", "x"], ["simcc_x"]),
            onnx.helper.make_node("Expand", ["column", "y"], ["simcc_y"]),
        ],
        {"input": (np.float32, ["N", 3, 32, 24])},
        {
            "simcc_x": (np.float32, ["N", 133, 48]),
            "simcc_y": (np.float32, ["N", 133, 64]),
        },
        {
            "zero": np.array([0]),
            "one": np.array([1]),
            "axis": np.array([1]),
            "shape": np.array([-1, 1, 1]),
            "x": np.array([1, 133, 48]),
            "y": np.array([1, 133, 64]),
        },
        name="pose.onnx",
    )
    return detector, pose


def test_detector_sees_bgr_and_pose_network_rgb(color_probes):
    detector, pose = color_probes
    blue, red = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)
    blue[..., 0] = 255
    red[..., 2] = 255
    with Predictor(pose, detector, score_threshold=0.0, keep_doubtful=True) as probes:
        on_blue = probes(blue)
        # The detector's first channel is blue, the pose network's first channel is red.
        assert on_blue.box_scores.tolist() == [1]
        assert on_blue.scores.max() == pytest.approx((0 - 123.675) / 58.395, abs=1e-4)
        assert len(probes(red)) == 0
        on_red = probes(red, boxes=[[4, 4, 60, 60]])
        assert on_red.scores.max() == pytest.approx((255 - 123.675) / 58.395, abs=1e-4)
        # Given as RGB, the arrays change their parts.
        assert len(probes(blue, color="rgb")) == 0
        assert probes(red, color="rgb").box_scores.tolist() == [1]


@pytest.mark.slow
def test_concurrent_calls(predictor, photos):
    expected = [predictor(path).keypoints for path in photos]
    wrong = []

    def work(index):
        for _ in range(5):
            if not np.array_equal(predictor(photos[index]).keypoints, expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(i % len(photos),)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_max_persons_and_thresholds(photos):
    greedily = {"score_threshold": 0.05, "nms_threshold": 0.9, "keep_doubtful": True}
    with Predictor(**greedily, max_persons=2) as greedy:
        result = greedy(photos[0])
    assert len(result) == 2
    with Predictor(score_threshold=1.0) as strict:
        assert len(strict(photos[0])) == 0


def test_weak_hands_option(astronaut):
    with Predictor(detector=None, drop_weak_hands=True) as careful:
        hidden = careful(astronaut, boxes=[[100, 0, 320, 200]])
    with Predictor(detector=None) as plain:
        shown = plain(astronaut, boxes=[[100, 0, 320, 200]])
    expected = shown.without_weak_hands()
    np.testing.assert_array_equal(hidden.keypoints, expected.keypoints)
    assert np.isfinite(shown.keypoints).all()


def test_warmup_and_close(astronaut):
    predictor = Predictor()
    predictor.warmup()
    predictor.close()
    predictor.close()
    with pytest.raises(InferenceError, match="closed"):
        predictor(astronaut)


def test_unreadable_picture_among_several(predictor, astronaut, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        predictor([astronaut, tmp_path / "missing.jpg"])


def test_models_that_do_not_fit(tmp_path):
    with pytest.raises(ModelNotFoundError, match="dwpose-l-384"):
        Predictor(pose="dwpose-l-348")
    with pytest.raises(InvalidArgumentError, match="yolox-nano"):
        Predictor(pose="yolox-nano")
    with pytest.raises(ModelFormatError, match="not a pose network"):
        Predictor(pose=zoo.resolve_model("yolox-nano-person-bundled"))
    with pytest.raises(ModelFormatError, match="not a person detector"):
        Predictor(detector=zoo.resolve_model("dwpose-t-bundled"))


def test_gpu_is_used_or_an_error():
    with pytest.raises(BackendUnavailableError):
        Predictor(device="cuda:0")


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, dwpose_infer; "
        "heavy = {'numpy', 'cv2', 'onnxruntime', 'PIL', 'requests', 'tqdm', 'torch'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_package_names():
    import dwpose_infer

    for name in dwpose_infer.__all__:
        assert getattr(dwpose_infer, name) is not None
        assert name in dir(dwpose_infer)
    with pytest.raises(AttributeError, match="no attribute 'predict'"):
        _ = dwpose_infer.predict


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((-3e38, -3e38, 3e38, 3e38), "none of them beyond 10 million"),
        ((0.1, 0.2, 0.8, 0.9), "smaller than a pixel: boxes are in pixels, so multiply fractions"),
        ((64, 0, 80, 64), r"\(64, 0, 80, 64\) is wholly outside its picture of 64x48 pixels"),
        ((-20, 5, 0, 20), "wholly outside"),
    ],
)
def test_boxes_that_cannot_be_meant(box, message):
    with pytest.raises(InvalidArgumentError, match=message):
        Predictor(detector=None)(np.zeros((48, 64, 3), np.uint8), boxes=[box])


@pytest.mark.slow
def test_thresholds_of_a_call_are_of_this_call_alone(predictor, photos):
    everybody = predictor(photos[0], score_threshold=0.05)
    usual = predictor(photos[0])
    assert len(everybody) > len(usual) >= 1  # 0.2 is the predictor's own
    with Predictor(score_threshold=0.05) as greedy:
        expected = greedy(photos[0])
        largest, *_ = greedy([photos[0]], max_persons=1, prefer="largest")
    np.testing.assert_array_equal(everybody.boxes_xyxy, expected.boxes_xyxy)
    areas = np.prod(expected.boxes_xyxy[:, 2:] - expected.boxes_xyxy[:, :2], axis=1)
    np.testing.assert_array_equal(largest.boxes_xyxy, expected.boxes_xyxy[[areas.argmax()]])
    assert [len(each) for each in predictor(iter(photos), score_threshold=1)] == [0] * len(photos)
    assert len(predictor(photos[0])) == len(usual)


def test_a_call_may_keep_more_than_the_predictor_does(photos):
    with Predictor(score_threshold=0.05, keep_doubtful=True, max_persons=1) as predictor:
        assert len(predictor(photos[0])) == 1
        assert len(predictor(photos[0], max_persons=2)) == 2


def test_a_threshold_of_a_call_replaces_the_product_of_scores(photos):
    with Predictor() as bundled, Predictor(score_threshold=0.3) as plain:
        np.testing.assert_array_equal(
            bundled(photos[0], score_threshold=0.3).boxes_xyxy, plain(photos[0]).boxes_xyxy
        )


def test_thresholds_that_choose_nothing(predictor, astronaut):
    with pytest.raises(InvalidArgumentError, match=r"score_threshold is 1.5, must be between"):
        predictor(astronaut, score_threshold=1.5)
    with pytest.raises(InvalidArgumentError, match="max_persons is 0"):
        predictor([], max_persons=0)
    with pytest.raises(InvalidArgumentError, match="prefer is 'best'"):
        predictor(astronaut, prefer="best")
    with pytest.raises(InvalidArgumentError, match="all boxes are given"):
        predictor(astronaut, boxes=[[0, 0, 300, 300]], max_persons=1)
    with (
        Predictor(detector=None) as blind,
        pytest.raises(InvalidArgumentError, match="no detector, and score_threshold would be"),
    ):
        blind(astronaut, whole_image=True, score_threshold=0.5)


@pytest.mark.slow
def test_a_pickled_predictor_opens_anew_in_a_worker_process(astronaut):
    with Predictor(max_persons=1, threads=1, color="rgb") as predictor:
        expected = predictor(astronaut)
        pickled = pickle.dumps(predictor)
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            result = pool.submit(predictor, astronaut).result()
    assert len(pickled) < 2000  # how it was made, no networks
    np.testing.assert_array_equal(result.keypoints, expected.keypoints)
    assert result.source == str(astronaut)
    with pickle.loads(pickled) as again:  # the first one is closed
        image_rgb = np.asarray(Image.open(astronaut).convert("RGB"))
        np.testing.assert_array_equal(again(image_rgb).keypoints, expected.keypoints)


def test_a_predictor_prints_in_a_line():
    with Predictor(threads=1) as predictor:
        said = repr(predictor)
    assert said.startswith("Predictor(dwpose-s-bundled, yolox-nano-person-bundled, ONNX Runtime ")
    assert said == repr(predictor)  # closed, too
    with Predictor("dwpose-t-bundled", None, backend="openvino") as other:
        assert repr(other).startswith("Predictor(dwpose-t-bundled, no detector, OpenVINO ")


def test_loading_a_pickled_predictor_whose_model_is_gone(tmp_path):
    path = tmp_path / "pose.onnx"
    path.write_bytes(zoo.resolve_model(zoo.DEFAULT_POSE).read_bytes())
    with Predictor(path, detector=None) as predictor:
        pickled = pickle.dumps(predictor)
    path.unlink()
    with pytest.raises(ModelNotFoundError, match=r"pose\.onnx"):
        pickle.loads(pickled)
