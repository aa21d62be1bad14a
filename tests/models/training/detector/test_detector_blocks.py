from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from detector_samples import SIDE, make_teacher, small_run

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError
from dwpose_infer.models.training.detector.blocks import (
    BLOCKS,
    PREDICTORS,
    VARIANCE_FLOOR,
    BlockByBlock,
    BlockRecord,
    feature_distances,
    predictor_distances,
    recorded,
    require_same_blocks,
)
from dwpose_infer.models.training.detector.settings import DetectorSettings
from dwpose_infer.models.training.detector.trainer import (
    build_student,
    keep_statistics,
    train_detector,
)
from dwpose_infer.models.training.loop.checkpoint import list_checkpoints, load_state
from dwpose_infer.models.training.loop.csv_log import read_table
from dwpose_infer.models.training.loop.run_options import RunOptions
from dwpose_infer.models.training.overrides import settings_of_kind
from dwpose_infer.models.yolox import YOLOX, YOLOXArchitecture


@pytest.fixture
def network():
    return make_teacher()


def pictures_of(count, *, seed=0):
    torch.manual_seed(seed)
    return torch.rand(count, 3, SIDE, SIDE) * 255


def test_every_weight_belongs_to_one_block(network):
    owned = [
        id(weight)
        for name in (*BLOCKS, *PREDICTORS)
        for weight in network.get_submodule(name).parameters()
    ]
    assert sorted(owned) == sorted(id(weight) for weight in network.parameters())


def test_the_teacher_itself_is_at_no_distance(network):
    """Block by block it gives what it gave as a whole, of its first class alone."""
    record = BlockRecord({}, {})
    with torch.no_grad(), recorded(network, record):
        network(pictures_of(2))
    with torch.no_grad():
        outputs = BlockByBlock(network)(record.inputs)
    assert float(feature_distances(outputs, record.outputs).max()) < 1e-9
    outputs = {
        name: value[:, :1] if ".cls_preds." in name else value for name, value in outputs.items()
    }
    assert float(predictor_distances(outputs, record.outputs).max()) < 1e-9
    with torch.no_grad():
        network(pictures_of(1, seed=1))
    assert record.outputs["head.stems.0"].shape[0] == 2, "recording has ended"


def test_distances_by_hand():
    """Two channels, 0 and 2 by turns and 0 and 4: variances 1.07 and 4.27 of sixteen values."""
    target = torch.zeros(1, 2, 4, 4)
    target[0, 0, ::2], target[0, 1, ::2] = 2.0, 4.0
    wanted = dict.fromkeys(BLOCKS, target)
    outputs = dict.fromkeys(BLOCKS, target + 1)
    first, second = 16 / 15, 64 / 15
    floor = VARIANCE_FLOOR * (first + second) / 2
    by_hand = (1 / (first + floor) + 1 / (second + floor)) / 2
    distances = feature_distances(outputs, wanted)
    assert distances.tolist() == pytest.approx([by_hand] * len(BLOCKS), rel=1e-5)
    mean = {name: torch.full_like(target, target.mean()) for name in BLOCKS}
    assert 0.5 < float(feature_distances(mean, wanted)[0]) < 1.2
    logits = dict.fromkeys(PREDICTORS, torch.zeros(1, 4, 2, 2))
    said = {name: torch.full((1, 1 if "cls" in name else 4, 2, 2), 3.0) for name in PREDICTORS}
    assert predictor_distances(said, logits).tolist() == pytest.approx([2.5] * len(PREDICTORS))


def test_wide_maps_are_sampled():
    """Of 80x48 places every third row and column counts, of 24x24 all."""
    torch.manual_seed(1)
    wanted = {name: torch.randn(2, 3, 24, 24) for name in BLOCKS}
    wanted[BLOCKS[0]] = torch.randn(2, 3, 80, 48)
    outputs = {name: value + 0.1 for name, value in wanted.items()}
    unseen = outputs[BLOCKS[0]].clone()
    outputs[BLOCKS[0]][..., 1::3, :] += 50
    sampled = feature_distances(outputs, wanted, most_side=32)
    assert sampled.max() < 0.02
    assert float(feature_distances(outputs, wanted)[0]) > 100
    outputs[BLOCKS[0]] = unseen
    torch.testing.assert_close(sampled[1:], feature_distances(outputs, wanted)[1:])


def test_a_map_of_one_colour_is_no_trouble():
    still = {name: torch.ones(1, 2, 4, 4) for name in BLOCKS}
    assert feature_distances(still, still).tolist() == [0.0] * len(BLOCKS)


def test_another_size_has_no_such_blocks(network):
    student = YOLOX(YOLOXArchitecture("nano", classes=1))
    require_same_blocks(student, network)
    with pytest.raises(ModelFormatError, match="the teacher is yolox-tiny, the student yolox-nano"):
        require_same_blocks(student, YOLOX(YOLOXArchitecture("tiny")))


def test_kept_statistics_change_no_more():
    student = build_student(DetectorSettings())
    before = {name: value.clone() for name, value in student.state_dict().items()}
    student(pictures_of(2))
    assert not torch.equal(
        student.head.stems[0].bn.running_mean, before["head.stems.0.bn.running_mean"]
    )
    keep_statistics(student)
    kept = student.head.stems[0].bn.running_mean.clone()
    student(pictures_of(2, seed=1))
    torch.testing.assert_close(student.head.stems[0].bn.running_mean, kept, rtol=0, atol=0)
    assert student.training and student.head.stems[0].bn.weight.requires_grad


def block_run(pictures, teacher, **changes):
    plain = small_run(
        pictures,
        teacher,
        **{
            "epochs": 12,
            "batch_size": 10,
            "learns": "blocks",
            "statistics_epochs": 2,
            "data": {"validation": None},
            "optimizer": {"learning_rate": 1e-2},
            "ema": {"enabled": False},
            **changes,
        },
    )
    return settings_of_kind(DetectorSettings, plain)


def test_blocks_come_nearer_to_the_teachers(pictures, teacher, tmp_path):
    settings = block_run(pictures, teacher)
    assert train_detector(settings, tmp_path / "run").finished
    table = read_table(tmp_path / "run" / "log.csv")
    for name, share in {"loss": 0.5, "loss_feature": 0.5, "loss_predictor": 1.0}.items():
        assert table[name][-1] < share * table[name][0], name
    assert min(table["loss_feature_worst"]) >= max(0, min(table["loss_feature"]))
    assert "loss_score" not in table


@pytest.mark.parametrize("loss", [{}, {"label_weight": 1.0}])
def test_losses_that_play_no_part_are_named(pictures, teacher, tmp_path, loss):
    said = []
    options = RunOptions(max_steps=1, say=said.append)
    train_detector(block_run(pictures, teacher, loss=loss), tmp_path / "run", options)
    assert any("play no part" in line for line in said) == bool(loss)


def test_a_run_of_blocks_goes_on_where_it_was(pictures, teacher, tmp_path):
    """Across the end of the epochs that gather statistics."""
    settings = block_run(pictures, teacher, epochs=4)
    train_detector(settings, tmp_path / "whole")
    for last in (1, 2, 3, None):
        train_detector(settings, tmp_path / "parts", RunOptions(resume=True, max_steps=last))
    whole, parts = (
        load_state(list_checkpoints(tmp_path / name / "checkpoints")[-1]).weights
        for name in ("whole", "parts")
    )
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=0, msg=name)


def test_a_whole_student_learns_from_blocks_too(pictures, teacher, tmp_path):
    settings = block_run(pictures, teacher, learns="whole", loss={"feature_weight": 30.0})
    assert train_detector(settings, tmp_path / "run").finished
    table = read_table(tmp_path / "run" / "log.csv")
    assert table["loss_feature"][-1] < 0.9 * table["loss_feature"][0]
    total = table["loss_score"][0] * 2 + table["loss_iou"][0] * 5 + table["loss_l1"][0]
    assert table["loss"][0] == pytest.approx(total + 30 * table["loss_feature"][0], rel=1e-4)


def test_what_does_not_fit_is_said(pictures, teacher, tmp_path):
    with pytest.raises(InvalidArgumentError, match="learns must be one of whole, blocks"):
        replace(DetectorSettings(), learns="parts")
    with pytest.raises(InvalidArgumentError, match="statistics_epochs cannot be negative"):
        replace(DetectorSettings(), statistics_epochs=-1)
    with pytest.raises(ModelFormatError, match="needs two networks of one size"):
        train_detector(block_run(pictures, teacher, size="tiny"), tmp_path / "run")
