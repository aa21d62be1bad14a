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


@pytest.mark.slow
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


@pytest.mark.slow
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


def test_empty_list(predictor):
    assert predictor([]) == []


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
