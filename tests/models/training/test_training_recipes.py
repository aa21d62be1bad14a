"""Every recipe against the official configurations, value by value."""

from __future__ import annotations

import json
import re

import pytest

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.models.training.recipes import GPUS, recipe, recipe_names

BASE = ("t-256x192", "s-256x192", "m-256x192", "l-256x192", "l-384x288", "x-256x192", "x-384x288")
FIRST = {
    "s1-l-t-256": "dwpose/dwpose_l_dis_t_coco-ubody-256x192.py",
    "s1-l-s-256": "dwpose/dwpose_l_dis_s_coco-ubody-256x192.py",
    "s1-l-m-256": "dwpose/dwpose_l_dis_m_coco-ubody-256x192.py",
    "s1-x-l-256": "dwpose/dwpose_x_dis_l_coco-ubody-256x192.py",
    "s1-x-l-384": "dwpose/rtmpose_x_dis_l_coco-ubody-384x288.py",
}
SECOND = {
    "s2-t-256": "dwpose/dwpose_t-tt_coco-ubody-256x192.py",
    "s2-s-256": "dwpose/dwpose_s-ss_coco-ubody-256x192.py",
    "s2-m-256": "dwpose/dwpose_m-mm_coco-ubody-256x192.py",
    "s2-l-256": "dwpose/dwpose_l-ll_coco-ubody-256x192.py",
    "s2-l-384": "dwpose/dwpose_l-ll_coco-ubody-384x288.py",
}
DISTILLED = FIRST | SECOND


@pytest.fixture(scope="module")
def official(reference):
    return json.loads((reference / "extra/hyperparams.json").read_text())


def base_name(key):
    return f"base-{key.split('x')[0]}" if not key.startswith("x") else f"base-x-{key[2:5]}"


def base_key(settings):
    return f"{settings.size}-{settings.input_height}x{settings.input_width}"


def transform(pipeline, kind):
    return next(step for step in pipeline if step["type"] == kind)


def photometric(pipeline, kind):
    return transform(transform(pipeline, "Albumentation")["transforms"], kind)


def test_there_is_a_recipe_for_every_configuration(official):
    assert set(recipe_names()) == {base_name(key) for key in BASE} | set(DISTILLED)
    assert set(official) == set(BASE) | set(DISTILLED.values())


@pytest.mark.parametrize("name", recipe_names())
def test_names_say_what_a_recipe_is(name):
    settings = recipe(name)
    assert settings.name == name
    kind, *sizes, height = name.split("-")
    assert settings.size == sizes[-1]
    assert settings.input_wh == {"256": (192, 256), "384": (288, 384)}[height]
    stage = settings.distill.stage if settings.distill else 0
    assert stage == {"base": 0, "s1": 1, "s2": 2}[kind]


def test_an_unknown_recipe_is_refused_with_those_that_are_near():
    with pytest.raises(InvalidArgumentError, match="no recipe 's1-l-t'; did you mean s1-l-t-256"):
        recipe("s1-l-t")
    with pytest.raises(InvalidArgumentError, match="there are base-t-256, "):
        recipe("zzz")


@pytest.mark.parametrize("key", BASE)
def test_base_training_is_the_official_one(official, key):
    config, settings = official[key], recipe(base_name(key))
    check_optimizer(config["optim_wrapper"], settings)
    check_schedule(config["param_scheduler"], settings)
    check_run(config["train_cfg"], config["batch"], settings)
    check_average(config["custom_hooks"], settings)
    assert settings.seed == config["seed"]
    assert settings.sync_batch_norm == (config["norm"]["type"] == "SyncBN")
    assert settings.batch_size == config["auto_scale_lr"]["base_batch_size"] or key.endswith("288")
    assert settings.initial_url == config["pretrained"]
    assert settings.initial == "weights/" + config["pretrained"].split("/")[-1]
    assert settings.initial_part == "backbone"
    assert settings.distill is None
    hooks = config["default_hooks"]
    assert settings.log_every == hooks["logger"]["interval"]
    assert settings.checkpoint_every == hooks["checkpoint"]["interval"]


@pytest.mark.parametrize("name", recipe_names())
def test_samples_are_the_official_ones(official, name):
    settings = recipe(name)
    config = official[base_key(settings)]
    codec = config["codec"]
    assert list(settings.input_wh) == codec["input_size"]
    assert list(settings.codec.sigma_xy) == codec["sigma"]
    assert settings.codec.split_ratio == codec["simcc_split_ratio"]
    loss = config["head"]["loss"]
    assert settings.loss.beta == loss["beta"]
    assert settings.loss.label_softmax == loss["label_softmax"]
    assert settings.loss.use_keypoint_weights == loss["use_target_weight"]
    assert settings.loss.reference_samples == config["batch"]

    data = settings.data
    assert [vars_of(source) for source in data.train] == [
        official_source(source) for source in config["datasets"]
    ]
    assert data.workers == config["num_workers"]
    assert data.validation_batch_size == config["val_batch"]
    assert data.flip_test == config["test_cfg"]["flip_test"]
    assert f"data/{data.validation.annotations}" == config["val"]["ann_file"]
    assert f"data/{data.validation_boxes}" == config["val"]["bbox_file"]
    assert f"{data.validation.images}/" == config["val"]["data_prefix"]["img"]


def vars_of(source):
    return source.annotations, source.images, source.frame_step


def official_source(source):
    root = source["data_root"].removeprefix("data/")
    images = (root + source["data_prefix"]["img"]).rstrip("/")
    return root + source["ann_file"], images, source.get("sample_interval", 1)


@pytest.mark.parametrize("name", recipe_names())
def test_augmentation_is_the_official_one(official, name):
    settings = recipe(name)
    config = official[base_key(settings)]
    last = settings.epochs - 1
    switch = next(h for h in config["custom_hooks"] if h["type"] == "mmdet.PipelineSwitchHook")
    for epoch in (0, switch["switch_epoch"] - 1, switch["switch_epoch"], last):
        if epoch > last:
            continue
        final = epoch >= switch["switch_epoch"]
        pipeline = config["train_pipeline_stage2" if final else "train_pipeline"]
        augment = settings.augment.at_epoch(epoch, epochs=settings.epochs)
        box = transform(pipeline, "RandomBBoxTransform")
        assert augment.shift_factor == box.get("shift_factor", 0.16)
        assert list(augment.scale_range) == box["scale_factor"]
        assert augment.rotation_degrees == box["rotate_factor"]
        assert augment.blur_probability == photometric(pipeline, "Blur")["p"]
        assert augment.median_blur_probability == photometric(pipeline, "MedianBlur")["p"]
        hole = photometric(pipeline, "CoarseDropout")
        assert hole["min_holes"] == hole["max_holes"] == 1
        assert augment.hole_probability == hole["p"]
        assert list(augment.hole_height_range) == [hole["min_height"], hole["max_height"]]
        assert list(augment.hole_width_range) == [hole["min_width"], hole["max_width"]]
        assert transform(pipeline, "RandomHalfBody") == {"type": "RandomHalfBody"}
        assert augment.portrait_probability == 0


@pytest.mark.parametrize("name", DISTILLED)
def test_distillation_is_the_official_one(official, name):
    config, settings = official[DISTILLED[name]], recipe(name)
    distill = settings.distill
    assert config["two_dis"] == (distill.stage == 2)
    assert distill.decay == (not config["two_dis"])
    assert distill.teacher_mode == "train"
    assert re.search(r"rtmpose-(\w)_", config["teacher_cfg"])[1] == distill.teacher_size
    assert re.search(r"rtmpose-(\w)_", config["student_cfg"])[1] == settings.size
    losses = {m["name"]: m for group in config["distill_cfg"] for m in group["methods"]}
    feature = losses.get("loss_fea", {"alpha_fea": 0})
    assert distill.feature_alpha == feature["alpha_fea"]
    assert distill.logit_weight == losses["loss_logit"]["weight"]
    check_optimizer(config["optim_wrapper"], settings)
    check_schedule(config["scheduler"], settings)
    check_run(config["train_cfg"], config["batch"], settings)
    check_average(config["hooks"], settings)
    assert settings.checkpoint_every == config["checkpoint_hook"]["interval"]
    if distill.stage == 1:
        assert distill.teacher_url == config["teacher_pretrained"]
        assert distill.teacher_checkpoint.endswith(distill.teacher_url.split("/")[-1])
        assert settings.initial_url == official[base_key(settings)]["pretrained"]
    else:  # it goes on from what the first stage handed on
        first = next(n for n in FIRST if n.endswith(name.removeprefix("s2")))
        assert distill.teacher_checkpoint == f"runs/{first}/model.pth"


def check_optimizer(config, settings):
    ours = settings.optimizer
    assert ours.learning_rate == config["optimizer"]["lr"]
    assert ours.weight_decay == config["optimizer"]["weight_decay"]
    clip = config.get("clip_grad")
    assert ours.clip_norm == (clip["max_norm"] if clip else None)


def check_schedule(config, settings):
    warmup, cosine = config
    ours = settings.schedule
    assert (warmup["begin"], warmup["end"]) == (0, ours.warmup_steps)
    assert ours.warmup_factor == warmup["start_factor"]
    assert ours.final_learning_rate == cosine["eta_min"]
    begin = settings.epochs // 2 if ours.decay_begin_epoch is None else ours.decay_begin_epoch
    end = settings.epochs if ours.decay_end_epoch is None else ours.decay_end_epoch
    assert (begin, end, end - begin) == (cosine["begin"], cosine["end"], cosine["T_max"])


def check_run(config, samples_per_gpu, settings):
    assert settings.epochs == config["max_epochs"]
    assert settings.validate_every == config["val_interval"]
    assert settings.batch_size == GPUS * samples_per_gpu


def check_average(hooks, settings):
    hook = next(hook for hook in hooks if hook["type"] == "EMAHook")
    assert settings.ema.enabled
    assert settings.ema.momentum == hook["momentum"]
    assert settings.ema.average_buffers == hook["update_buffers"]
    assert settings.ema.gamma == 2000  # mmengine's default for ExpMomentumEMA
