"""A set small enough to be learnt by heart, and what the validation says about it."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("pycocotools")

from dwpose_infer import geometry
from dwpose_infer.errors import InputError, InvalidArgumentError
from dwpose_infer.export.deploy import to_deploy_pose
from dwpose_infer.export.from_checkpoint import load_network, to_official
from dwpose_infer.export.running import GraphRunner
from dwpose_infer.keypoints import FLIP_INDICES, PARTS
from dwpose_infer.models.checkpoints import load_model
from dwpose_infer.models.training.data import to_network_input
from dwpose_infer.models.training.data.validation import ValidationDataset
from dwpose_infer.models.training.data.validation_set import open_validation_set
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.loop.distributed import World
from dwpose_infer.models.training.loop.interruption import GracefulStop
from dwpose_infer.models.training.overrides import from_plain
from dwpose_infer.models.training.pose.validation import validate
from dwpose_infer.models.training.trainer import train
from dwpose_infer.simcc import decode_simcc
from tolerances import OTHER_RUNTIME
from training_samples import small_settings, write_set

PERSONS = 4
STEPS = 120
UNCHANGED = {
    "flip_probability": 0.0,
    "half_body_probability": 0.0,
    "shift_probability": 0.0,
    "scale_probability": 0.0,
    "rotation_probability": 0.0,
    "hsv_deltas": [0, 0, 0],
    "blur_probability": 0.0,
    "median_blur_probability": 0.0,
    "hole_probability": 0.0,
    "final_epochs": 0,
}
ALONE = World(torch.device("cpu"))


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Every step sees all persons as they are, with a falling rate and no average."""
    return from_plain(
        small_settings(
            write_set(tmp_path_factory.mktemp("learnt"), persons=PERSONS),
            epochs=STEPS,
            batch_size=PERSONS,
            validate_every=STEPS,
            log_every=20,
            augment=UNCHANGED,
            ema={"enabled": False},
            optimizer={"learning_rate": 2e-3, "weight_decay": 0.0},
            schedule={
                "warmup_steps": 20,
                "decay_begin_epoch": STEPS // 3,
                "final_learning_rate": 1e-5,
            },
        )
    )


@pytest.fixture(scope="module")
def run(settings, tmp_path_factory):
    return train(settings, tmp_path_factory.mktemp("runs") / "run")


@pytest.fixture(scope="module")
def model(run):
    return load_model(run.checkpoint)


@pytest.fixture(scope="module")
def validation_set(settings):
    return open_validation_set(settings.data)


def pixel_errors(validation_set, crops, decode):
    """(P, 133) distances in pixels of the picture, of keypoints that `decode` finds in crops."""
    keypoints = geometry.crop_to_picture(
        decode(crops.crops), crops.centers.numpy(), crops.scales.numpy(), input_size_wh=(64, 64)
    )
    labels = validation_set.annotations.keypoints[..., :2]
    return np.linalg.norm(keypoints.astype(np.float64) - labels, axis=2)


@pytest.fixture(scope="module")
def crops(validation_set):
    dataset = ValidationDataset(
        validation_set.annotations,
        validation_set.folder,
        validation_set.boxes,
        input_size_wh=(64, 64),
    )
    samples = [dataset[row] for row in range(len(dataset))]
    return type(samples[0])(*(torch.cat(parts) for parts in zip(*samples, strict=True)))


def torch_simcc(model, crops):
    with torch.inference_mode():
        x, y = model(to_network_input(crops))
    return x.numpy(), y.numpy()


def test_a_small_set_is_learnt_to_less_than_a_pixel(run, validation_set, crops):
    """By the exported graph: pixels in, keypoints out."""
    assert (run.finished, run.step) == (True, STEPS)
    graph = to_deploy_pose(to_official(load_network(run.checkpoint)))
    with GraphRunner(graph) as runner:
        errors = pixel_errors(
            validation_set, crops, lambda images: runner({"crops": images.numpy()})["keypoints"]
        )
    assert np.median(errors) < 1
    table = read_table(run.folder / "log.csv")
    assert table["loss"][-1] < 0.2 * table["loss"][0]
    assert run.best_value > 0.8


def test_the_figures_are_those_of_the_network_itself(run, settings, model, validation_set, crops):
    row = validate(model, validation_set, ALONE, settings.data).row()
    errors = pixel_errors(
        validation_set, crops, lambda images: decode_simcc(*torch_simcc(model, images))[0]
    )
    assert row["error_px"] == pytest.approx(errors.mean(), rel=OTHER_RUNTIME)
    assert row["PCK"] == pytest.approx((errors <= 0.05 * 68).mean(), abs=1e-9)
    for part, span in PARTS.items():
        assert row[f"error_px_{part}"] == pytest.approx(errors[:, span].mean(), rel=OTHER_RUNTIME)
    table = read_table(run.folder / "validation.csv")
    assert {name: values[-1] for name, values in table.items()} == {
        "step": STEPS,
        "epoch": STEPS,
        **row,
    }


def test_the_flip_test_averages_both_views(settings, model, validation_set, crops):
    def both(images):
        x, y = torch_simcc(model, images)
        mirrored_x, mirrored_y = torch_simcc(model, images.flip(2))
        order = list(FLIP_INDICES)
        mean_x = (x + mirrored_x[:, order, ::-1]) / 2
        return decode_simcc(mean_x, (y + mirrored_y[:, order]) / 2)[0]

    data = from_plain({"name": "x", "size": "t", "data": {"workers": 0}}).data
    assert data.flip_test
    row = validate(model, validation_set, ALONE, data).row()
    errors = pixel_errors(validation_set, crops, both)
    assert row["error_px"] == pytest.approx(errors.mean(), rel=OTHER_RUNTIME)
    plain = validate(model, validation_set, ALONE, settings.data).row()
    assert plain["PCK"] > row["PCK"]  # nobody taught it mirror images


def with_validation(settings, **changes):
    source = {"annotations": "labels.json", "images": "."} | changes
    return from_plain(
        {
            "name": "x",
            "size": "t",
            "data": {
                "root": settings.data.root,
                "validation": {k: v for k, v in source.items() if k != "validation_boxes"},
                "validation_boxes": changes.get("validation_boxes"),
                "flip_test": False,
                "workers": 0,
            },
        }
    ).data


def test_boxes_of_a_detector_take_the_place_of_the_labelled_ones(
    settings, model, validation_set, crops, tmp_path
):
    boxes = [
        {"image_id": number, "category_id": 1, "bbox": [14, 14, 68, 68], "score": 0.5}
        for number in (1, 2)
    ]
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(boxes))
    data = with_validation(settings, validation_boxes=str(path))
    detected = open_validation_set(data)
    assert len(detected.boxes) == 2
    row = validate(model, detected, ALONE, data).row()
    own = validate(model, validation_set, ALONE, settings.data).row()
    errors = pixel_errors(
        validation_set, crops, lambda images: decode_simcc(*torch_simcc(model, images))[0]
    )
    hits = (errors[:2] <= 0.05 * 68).sum()  # the other two persons are missed
    assert row["PCK"] == pytest.approx(hits / errors.size, abs=1e-9)
    assert 0 < row["AR"] < own["AR"]
    path.write_text(json.dumps([boxes[0] | {"image_id": 77}]))
    with pytest.raises(InvalidArgumentError, match="77"):
        open_validation_set(data)


def test_a_source_is_cut_down_to_what_it_names(settings):
    assert len(open_validation_set(with_validation(settings, frame_step=2)).boxes) == 2
    for changes in ({"labels": ["human"]}, {"collections": ["nowhere"]}):
        with pytest.raises(InputError, match="nobody is left"):
            open_validation_set(with_validation(settings, **changes))
    with pytest.raises(InputError, match="there is no such picture"):
        open_validation_set(with_validation(settings, images="elsewhere"))


def test_a_run_without_a_validation_set_has_none(settings):
    data = from_plain({"name": "x", "size": "t"}).data
    assert open_validation_set(data) is None


def test_a_stopped_validation_has_no_figures(settings, model, validation_set):
    stop = GracefulStop()
    stop.signal_name = "SIGTERM"
    assert validate(model, validation_set, ALONE, settings.data, stop=stop) is None
