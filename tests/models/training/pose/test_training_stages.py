from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from stage_samples import EPOCHS, HEIGHT, WIDTH, learnt_parameters, network, settings

from dwpose_infer.errors import InvalidArgumentError, ModelFormatError, ModelNotFoundError
from dwpose_infer.keypoints import FEET
from dwpose_infer.models.checkpoints import build_model, load_model, read_state_dict
from dwpose_infer.models.dwpose import DWPose, DWPoseArchitecture
from dwpose_infer.models.training.pose.building import build_stage
from dwpose_infer.models.training.pose.losses import FeatureLoss, LogitLoss, label_loss
from dwpose_infer.models.training.pose.stages import (
    FirstStage,
    PlainStage,
    SecondStage,
    plain_state,
)
from dwpose_infer.models.training.settings import DistillSettings, LossSettings
from dwpose_infer.models.yolox import YOLOXArchitecture


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A teacher and a smaller network, as files."""
    folder = tmp_path_factory.mktemp("weights")
    for seed, size in enumerate("st"):
        torch.save({"state_dict": network(size, seed).state_dict()}, folder / f"{size}.pth")
    torch.save(build_model(YOLOXArchitecture("nano")).state_dict(), folder / "detector.pth")
    return folder


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(5)
    crops = torch.randn(3, 3, HEIGHT, WIDTH, generator=generator)
    targets = [torch.rand(3, 133, 2 * side, generator=generator) for side in (WIDTH, HEIGHT)]
    weights = (torch.rand(3, 133, generator=generator) > 0.3).float()
    return crops, *targets, weights


def changed(before, after):
    return {name for name, value in after.items() if not torch.equal(before[name], value)}


def snapshot(module):
    return {name: value.clone() for name, value in module.state_dict().items()}


def test_the_plain_stage_has_the_plain_names_and_the_label_loss(batch):
    stage = build_stage(settings())
    assert isinstance(stage, PlainStage)
    assert list(stage.state_dict()) == list(network("t", 0).state_dict())
    losses = stage(*batch, 3)
    model = stage.trained_model().train()
    expected = label_loss(model(batch[0]), batch[1:3], batch[3])
    assert list(losses) == ["loss", "loss_kpt"]
    assert losses["loss"].item() == losses["loss_kpt"].item() == expected.item()
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in learnt_parameters(stage))


@pytest.mark.parametrize("weighted", [True, False])
def test_part_weights_multiply_the_weights_of_points(batch, weighted):
    loss = LossSettings(
        reference_samples=None, use_keypoint_weights=weighted, part_weights=(0.0, 3.0, 0.0, 0.0)
    )
    stage = build_stage(settings(loss=loss))
    losses = stage(*batch, 0)
    weights = torch.zeros_like(batch[3])
    weights[:, FEET] = 3 * batch[3][:, FEET] if weighted else 3
    model = stage.trained_model().train()
    expected = label_loss(model(batch[0]), batch[1:3], weights)
    assert losses["loss_kpt"].item() == pytest.approx(expected.item(), rel=1e-6)
    assert losses["loss_kpt"].item() > 1e-3


@pytest.mark.parametrize("stage", [None, 1])
def test_maps_add_a_loss_and_are_thrown_away(files, batch, stage, tmp_path):
    plain = build_stage(settings(stage=stage, files=files))
    torch.manual_seed(7)
    loss = LossSettings(reference_samples=None, map_weight=2.0)
    supervised = build_stage(settings(stage=stage, files=files, loss=loss))
    missing, unexpected = supervised.load_state_dict(plain.state_dict(), strict=False)
    assert not unexpected
    assert missing == [
        f"map_supervision.maps.{i}.{kind}" for i in "01" for kind in ("weight", "bias")
    ]
    assert "loss_map" not in plain(*batch, 3)
    plain.load_state_dict(supervised.state_dict(), strict=False)  # the same running statistics
    losses, without = supervised(*batch, 3), plain(*batch, 3)

    backbone = supervised.trained_model().train().backbone
    third, fourth = backbone.stage_features(batch[0])[2:]
    expected = 2 * supervised.map_supervision([third, fourth], *batch[1:])
    assert losses["loss_map"].item() == pytest.approx(expected.item(), rel=1e-4)
    others = [losses[name].item() for name in losses if name.startswith("loss_")]
    assert losses["loss"].item() == pytest.approx(sum(others), rel=1e-6)
    for name, value in without.items():
        if name != "loss":
            assert losses[name].item() == pytest.approx(value.item(), rel=1e-5)
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in learnt_parameters(supervised))

    torch.save({"state_dict": supervised.state_dict()}, tmp_path / "supervised.pth")
    loaded = load_model(tmp_path / "supervised.pth").state_dict()
    handed_out = supervised.trained_model().state_dict()
    assert list(loaded) == list(handed_out)
    assert all(torch.equal(loaded[name], handed_out[name]) for name in loaded)


def test_maps_count_as_much_in_batches_of_any_size(batch):
    loss = LossSettings(reference_samples=64, map_weight=1.0)
    torch.manual_seed(7)
    stage = build_stage(settings(loss=loss)).eval()
    one, two = (
        stage(*(torch.cat([part] * times) for part in batch), 0)["loss_map"] for times in (1, 2)
    )
    assert one.item() == pytest.approx(two.item(), rel=1e-4)


@pytest.mark.parametrize("epoch", [0, 3, 9])
def test_stage_1_adds_features_and_outputs_of_the_teacher(files, batch, epoch):
    stage = build_stage(settings(stage=1, files=files))
    assert isinstance(stage, FirstStage)
    teacher, student = network("s", 0), stage.trained_model().train()
    align = stage.distill_losses["loss_fea"].align
    losses = stage(*batch, epoch)

    with torch.no_grad():
        teacher_features = teacher.backbone(batch[0])
        teacher_outputs = teacher.head(teacher_features)
        features = student.backbone(batch[0])
        outputs = student.head(features)
        loss_fea = FeatureLoss(features.shape[1], teacher_features.shape[1])
        loss_fea.align = align
        factor = 1 - epoch / EPOCHS
        expected = {
            "loss_kpt": label_loss(outputs, batch[1:3], batch[3]),
            "loss_fea": factor * loss_fea(features, teacher_features),
            "loss_logit": factor * LogitLoss(weight=0.1)(outputs, teacher_outputs),
        }
    assert list(losses) == ["loss", *expected]
    for name, value in expected.items():
        assert losses[name].item() == pytest.approx(value.item(), rel=1e-6)
        assert losses[name].item() > 1e-3
    assert losses["loss"].item() == pytest.approx(sum(expected.values()).item(), rel=1e-6)


def test_stage_1_trains_the_student_and_the_align_layer_alone(files, batch):
    stage = build_stage(settings(stage=1, files=files))
    stage(*batch, 0)["loss"].backward()
    with_gradient = {name for name, p in stage.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in with_gradient} == {"student", "distill_losses"}
    learnt = {name for name, p in stage.named_parameters() if p.requires_grad}
    assert with_gradient == learnt  # or data parallel training would wait for ever
    assert len(learnt_parameters(stage)) == len(learnt)


def test_the_state_of_stage_1_has_the_official_names(files):
    stage = build_stage(settings(stage=1, files=files))
    teacher, student = network("s", 0).state_dict(), network("t", 0).state_dict()
    assert list(stage.state_dict()) == [
        *(f"teacher.{name}" for name in teacher),
        *(f"student.{name}" for name in student),
        "distill_losses.loss_fea.align.weight",
        "distill_losses.loss_fea.align.bias",
    ]


def test_losses_with_factor_0_are_left_out(files, batch):
    base = settings(stage=1, files=files)
    distill = DistillSettings(
        stage=1,
        teacher_size="s",
        teacher_checkpoint=base.distill.teacher_checkpoint,
        feature_alpha=0.0,
        logit_weight=0.0,
    )
    stage = build_stage(settings(stage=1, files=files, distill=distill))
    assert list(stage(*batch, 0)) == ["loss", "loss_kpt"]
    assert not [name for name in stage.state_dict() if name.startswith("distill_losses")]


@pytest.mark.parametrize("stage_number", [1, 2])
def test_the_teacher_drifts_in_train_mode_and_stays_in_eval_mode(files, batch, stage_number):
    for mode in ("train", "eval"):
        chosen = settings(stage=stage_number, files=files, teacher_mode=mode)
        stage = build_stage(chosen)
        assert stage.teacher.training == (mode == "train")
        assert stage.student.training
        before = snapshot(stage.teacher)
        stage(*batch, 0)
        drifted = changed(before, stage.teacher.state_dict())
        if mode == "eval":
            assert not drifted
        else:
            statistics = ("running_mean", "running_var", "num_batches_tracked")
            assert drifted == {name for name in before if name.endswith(statistics)}
        assert not stage.eval().teacher.training
        stage.train()
        assert stage.teacher.training == (mode == "train")


@pytest.mark.parametrize("epoch", [0, 9])
def test_stage_2_trains_a_new_head_on_the_teachers_features(files, batch, epoch):
    torch.manual_seed(7)
    stage = build_stage(settings(stage=2, files=files))
    assert isinstance(stage, SecondStage)
    untouched = snapshot(stage.student.backbone)
    losses = stage(*batch, epoch)
    losses["loss"].backward()

    teacher = network("t", 1)
    with torch.no_grad():
        features = teacher.backbone(batch[0])
        expected = LogitLoss(weight=1.0)(stage.student.head(features), teacher.head(features))
    assert list(losses) == ["loss", "loss_logit"]
    assert losses["loss"].item() > 1e-3
    assert losses["loss"].item() == pytest.approx(expected.item(), rel=1e-6)

    with_gradient = {name for name, p in stage.named_parameters() if p.grad is not None}
    assert with_gradient == {
        f"student.head.{name}" for name, _ in stage.student.head.named_parameters()
    }
    assert len(learnt_parameters(stage)) == len(with_gradient)
    assert not changed(untouched, stage.student.backbone.state_dict())


def test_stage_2_hands_on_the_teachers_backbone_with_the_new_head(files):
    stage = build_stage(settings(stage=2, files=files))
    model = stage.trained_model()
    assert not model.training
    expected = stage.teacher.backbone.state_dict()
    assert not changed(expected, model.backbone.state_dict())
    assert not changed(stage.student.head.state_dict(), model.head.state_dict())
    old_head = stage.teacher.head.state_dict()
    assert "cls_x.weight" in changed(old_head, model.head.state_dict())


def test_the_trained_model_is_a_copy_and_can_be_made_of_averages(files):
    stage = build_stage(settings(stage=1, files=files))
    averages = {name: torch.zeros_like(value) for name, value in stage.state_dict().items()}
    own, averaged = stage.trained_model(), stage.trained_model(averages)
    with torch.no_grad():
        next(own.parameters()).fill_(9)
    assert next(stage.student.parameters()).max() < 9
    assert all(value.abs().max() == 0 for value in averaged.state_dict().values())


def test_steps_lower_the_loss_in_every_kind_of_training(files, batch):
    for number in (None, 1, 2):
        torch.manual_seed(3)
        stage = build_stage(settings(stage=number, files=files))
        optimizer = torch.optim.AdamW(learnt_parameters(stage), lr=1e-4)
        seen = []
        for _ in range(6):
            optimizer.zero_grad()
            loss = stage(*batch, 0)["loss"]
            loss.backward()
            optimizer.step()
            seen.append(loss.item())
        assert seen[-1] < seen[0], number


@pytest.mark.parametrize("number", [None, 1, 2])
def test_a_checkpoint_of_a_stage_loads_as_the_trained_network(files, tmp_path, number):
    stage = build_stage(settings(stage=number, files=files))
    torch.save({"state_dict": dict(stage.state_dict())}, tmp_path / "stage.pth")
    model = load_model(tmp_path / "stage.pth")
    assert model.architecture == stage.architecture
    assert not changed(stage.trained_model().state_dict(), model.state_dict())


def test_the_second_stage_goes_on_from_a_checkpoint_of_the_first(files, tmp_path):
    first = build_stage(settings(stage=1, files=files))
    torch.save({"state_dict": dict(first.state_dict())}, tmp_path / "t.pth")
    second = build_stage(settings(stage=2, files=tmp_path))
    assert not changed(first.student.state_dict(), second.teacher.state_dict())


@pytest.mark.parametrize("number", [None, 1, 2])
def test_mixed_precision_gives_float32_losses_and_all_gradients(files, batch, number):
    stage = build_stage(settings(stage=number, files=files))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = stage(*batch, 0)
    assert {value.dtype for value in losses.values()} == {torch.float32}
    losses["loss"].backward()
    assert all(parameter.grad is not None for parameter in learnt_parameters(stage))


def test_a_resumed_run_needs_no_files(files, tmp_path):
    missing = settings(stage=1, files=tmp_path, initial=str(tmp_path / "none.pth"))
    stage = build_stage(missing, load_initial=False)
    other = build_stage(settings(stage=1, files=files))
    stage.load_state_dict(other.state_dict())
    assert not changed(other.state_dict(), stage.state_dict())


@pytest.mark.parametrize("part", ["backbone", "all"])
def test_training_starts_from_given_weights(files, part):
    stage = build_stage(settings(initial=str(files / "t.pth"), initial_part=part))
    expected = read_state_dict(files / "t.pth")
    differing = changed(expected, stage.state_dict())
    assert not [name for name in differing if name.startswith("backbone.")]
    assert ("head.cls_x.weight" in differing) == (part == "backbone")
    assert all(parameter.requires_grad for parameter in stage.parameters())


def test_training_goes_on_at_another_input_size(files):
    path = str(files / "t.pth")
    small = read_state_dict(path)
    stage = build_stage(
        settings(initial=path, initial_part="all", input_height=2 * HEIGHT, input_width=2 * WIDTH)
    )
    large = stage.state_dict()
    assert torch.equal(large["head.gau.uv.weight"], small["head.gau.uv.weight"])
    assert large["head.cls_x.weight"].shape == (4 * WIDTH, 256)
    assert torch.equal(large["head.cls_x.weight"][0], small["head.cls_x.weight"][0])
    assert large["head.mlp.1.weight"].sum().item() == pytest.approx(
        small["head.mlp.1.weight"].sum().item(), rel=1e-4
    )


def test_the_student_of_stage_1_starts_from_given_weights_and_that_of_stage_2_does_not(files):
    path = str(files / "t.pth")
    expected = read_state_dict(path)["backbone.stem.0.conv.weight"]
    first = build_stage(settings(stage=1, files=files, initial=path))
    assert torch.equal(first.student.backbone.stem[0].conv.weight, expected)
    second = build_stage(settings(stage=2, files=files, initial=path))
    assert not torch.equal(second.student.backbone.stem[0].conv.weight, expected)


def test_missing_files_are_named_with_where_they_can_be_had(files, tmp_path):
    url = "https://example.com/weights.pth"
    with pytest.raises(ModelNotFoundError, match=f"none.pth.*{url}.*set initial to"):
        build_stage(settings(initial=str(tmp_path / "none.pth"), initial_url=url))
    with pytest.raises(ModelNotFoundError, match=r"s\.pth.*distill\.teacher_checkpoint"):
        build_stage(settings(stage=1, files=tmp_path))


def test_files_of_other_networks_are_refused(files):
    with pytest.raises(ModelFormatError, match=r"s\.pth: the weights do not fit"):
        build_stage(settings(initial=str(files / "s.pth")))
    for wrong, held in (("t", "dwpose-t-64x32"), ("detector", "yolox-nano")):
        distill = DistillSettings(
            stage=1, teacher_size="s", teacher_checkpoint=str(files / f"{wrong}.pth")
        )
        with pytest.raises(ModelFormatError, match=f"holds {held}.*has to be dwpose-s-64x32"):
            build_stage(settings(distill=distill))


def test_a_teacher_of_other_points_is_named_by_their_number(tmp_path):
    torch.manual_seed(0)
    model = DWPose(DWPoseArchitecture("s", 64, 32, keypoints=26))
    torch.save({"state_dict": model.state_dict()}, tmp_path / "s.pth")
    distill = DistillSettings(stage=1, teacher_size="s", teacher_checkpoint=str(tmp_path / "s.pth"))
    held = "holds rtmpose-s-64x32-26-points; .* has to be dwpose-s-64x32"
    with pytest.raises(ModelFormatError, match=held):
        build_stage(settings(distill=distill))


def test_networks_that_do_not_go_together_are_refused(files):
    chosen = settings(stage=1, files=files).distill
    rest = {"settings": chosen, "loss": LossSettings(), "epochs": 1}
    wide = DWPose(DWPoseArchitecture("s", HEIGHT, 64))
    with pytest.raises(InvalidArgumentError, match="one size: dwpose-s-64x64 cannot teach"):
        FirstStage(student=network("t", 0), teacher=wide, **rest)
    with pytest.raises(InvalidArgumentError, match="the same network"):
        SecondStage(student=network("t", 0), teacher=network("s", 0), **rest)


def test_plain_names_are_picked_out_of_each_stage():
    state = {"teacher.backbone.a": 1, "teacher.head.b": 2, "student.backbone.a": 3} | {
        "student.head.b": 4,
        "distill_losses.loss_fea.align.weight": 5,
    }
    assert plain_state(state, 1) == {"backbone.a": 3, "head.b": 4}
    assert plain_state(state, 2) == {"backbone.a": 1, "head.b": 4}
    assert plain_state({"backbone.a": 6}, None) == {"backbone.a": 6}
