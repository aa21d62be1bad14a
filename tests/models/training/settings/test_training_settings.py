from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.models.training.overrides import (
    apply_overrides,
    from_plain,
    print_settings,
    to_plain,
)
from dwpose_infer.models.training.recipes import recipe, recipe_names
from dwpose_infer.models.training.settings import (
    AugmentSettings,
    DataSettings,
    DataSource,
    DistillSettings,
    Settings,
)

PLAIN = Settings(name="plain", size="t")
STAGE_1 = recipe("s1-l-t-256")


@pytest.mark.parametrize("name", recipe_names())
def test_settings_survive_json_and_their_own_printed_form(name):
    settings = recipe(name)
    assert from_plain(json.loads(json.dumps(to_plain(settings)))) == settings
    printed, key, assignments = print_settings(settings), "", {}
    for line in printed.splitlines():  # a list goes on in lines that are no assignments
        if line[:1].isalpha():
            key, _, value = line.partition(" = ")
            assignments[key] = value
        else:
            assignments[key] += line
    start = recipe("s1-l-t-256") if settings.distill else PLAIN
    pairs = [f"{key}={value}" for key, value in assignments.items() if value != "null"]
    nulls = [f"{key}=null" for key, value in assignments.items() if value == "null"]
    # groups that one of the two lacks are given as a whole, or not at all
    nulls = [pair for pair in nulls if pair != "distill=null"]
    assert apply_overrides(start, pairs + nulls) == settings


@pytest.mark.parametrize("name", ["null", "[a", '"b"', "", "c = d"])
def test_odd_text_is_printed_so_that_it_can_be_read_again(name):
    settings = apply_overrides(PLAIN, [f"name={json.dumps(name)}"])
    assert settings.name == name
    line = print_settings(settings).splitlines()[0]
    assert apply_overrides(PLAIN, [line]) == settings


def test_sources_at_their_defaults_are_printed_short():
    settings = Settings(
        name="a",
        size="t",
        data=DataSettings(
            train=(
                DataSource(annotations="a.json", images="b"),
                DataSource(annotations="c.json", images="d", frame_step=10),
            )
        ),
    )
    assert (
        "data.train = [\n"
        '    {"annotations": "a.json", "images": "b"},\n'
        '    {"annotations": "c.json", "images": "d", "frame_step": 10}\n'
        "]\n" in print_settings(settings)
    )


@pytest.mark.parametrize(
    ("text", "get", "expected"),
    [
        ("optimizer.learning_rate=1e-3", lambda s: s.optimizer.learning_rate, 1e-3),
        ("optimizer.clip_norm=35", lambda s: s.optimizer.clip_norm, 35.0),
        ("optimizer.clip_norm=null", lambda s: s.optimizer.clip_norm, None),
        ("optimizer.betas=[0.8, 0.9]", lambda s: s.optimizer.betas, (0.8, 0.9)),
        ("epochs = 20", lambda s: s.epochs, 20),
        ("channels_last=true", lambda s: s.channels_last, True),
        ("precision=bf16", lambda s: s.precision, "bf16"),
        ("initial=null", lambda s: s.initial, None),
        ("initial=a=b.pth", lambda s: s.initial, "a=b.pth"),
        ("name=12", lambda s: s.name, "12"),
        ('name="[odd]"', lambda s: s.name, "[odd]"),
        ("distill.teacher_mode=eval", lambda s: s.distill.teacher_mode, "eval"),
        (
            'data.train=[{"annotations": "a.json", "images": "b", "labels": ["x"]}]',
            lambda s: s.data.train,
            (DataSource(annotations="a.json", images="b", labels=("x",)),),
        ),
        ("data.validation.frame_step=2", lambda s: s.data.validation.frame_step, 2),
    ],
)
def test_a_key_is_set(text, get, expected):
    changed = apply_overrides(STAGE_1, [text])
    assert get(changed) == expected
    assert type(get(changed)) is type(expected)
    assert apply_overrides(changed, []) == changed


def test_later_assignments_win_and_values_that_belong_together_can_change_together():
    assert apply_overrides(PLAIN, ["epochs=2", "epochs=3"]).epochs == 3
    changed = apply_overrides(
        STAGE_1, ["distill.stage=2", "distill.teacher_size=m", "size=m", "distill.decay=false"]
    )
    assert (changed.size, changed.distill.teacher_size) == ("m", "m")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs", r"'epochs' is not key=value, such as optimizer\.learning_rate=1e-3"),
        ("optimizer.learnig_rate=1", r"did you mean optimizer\.learning_rate\?"),
        ("epoch=1", r"there is no setting epoch; did you mean epochs"),
        ("optimizer.zzz=1", r"no setting optimizer\.zzz; in optimizer are learning_rate, "),
        ("zzz.a=1", "no setting zzz; here are name, size"),
        ("epochs.a=1", "epochs is a single value and has no parts"),
        ("optimizer.learning_rate=fast", r"optimizer\.learning_rate must be float, not 'fast'"),
        ("epochs=2.5", r"epochs must be int, not '2\.5'"),
        ("compile=maybe", "compile must be bool, not 'maybe'"),
        ("optimizer.betas=0.9", r"optimizer\.betas must be a JSON list, not '0\.9'"),
        ("optimizer.betas=[1, 2, 3]", r"optimizer\.betas must be a JSON list of length 2"),
        ("optimizer=fast", "optimizer must be"),
        ("precision=fp8", "precision must be one of fp32, bf16, fp16, not 'fp8'"),
        ("distill.stage=3", r"distill\.stage must be one of 1, 2, not '3'"),
        ("distill.stage=2", "in stage 2 teacher and student are of one size, not l and t"),
        ("epochs=0", "epochs must be at least 1, not 0"),
        ("optimizer.learning_rate=0", r"optimizer\.learning_rate must be positive"),
        ("optimizer.learning_rate=nan", r"optimizer\.learning_rate must be positive, not nan"),
        ("schedule.warmup_factor=0", r"schedule\.warmup_factor must be above 0"),
        ("augment.flip_probability=2", r"augment\.flip_probability is a probability"),
        ("augment.scale_range=[2, 1]", r"augment\.scale_range must be two positive numbers"),
        ("augment.blur_max_kernel=4", r"augment\.blur_max_kernel must be odd"),
        ("input_width=100", "input_width must be a positive multiple of 32 pixels, not 100"),
        ("ema.momentum=1", r"ema\.momentum must be between 0 and 1"),
        ("data.train=[{", r"data\.train: \[\{ is not valid JSON"),
        ('data.train=[{"annotations": "a"}]', r"data\.train\[0\].*`images`"),
        (
            'data.train=[{"annotations": "a", "images": "b", "frame_stp": 1}]',
            r"no setting data\.train\[0\]\.frame_stp; did you mean data\.train\[0\]\.frame_step\?",
        ),
        (
            'data.train=[{"annotations": "a", "images": "b", "frame_step": "x"}]',
            r"data\.train\[0\]\.frame_step must be int, not 'x'",
        ),
        (
            'data.train=[{"annotations": "a", "images": "b", "frame_step": 0}]',
            r"data\.train\[0\]\.frame_step must be at least 1, not 0",
        ),
    ],
)
def test_what_cannot_be_set_is_refused_by_its_key(text, message):
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        apply_overrides(STAGE_1, [text])
    assert caught.value.exit_code == 2


def test_parts_of_a_missing_group_cannot_be_set_but_the_group_can():
    with pytest.raises(InvalidArgumentError, match="distill is null in this recipe"):
        apply_overrides(PLAIN, ["distill.stage=1"])
    whole = '{"stage": 1, "teacher_size": "l", "teacher_checkpoint": "l.pth"}'
    changed = apply_overrides(PLAIN, [f"distill={whole}", "distill.logit_weight=0.2"])
    assert changed.distill == DistillSettings(
        stage=1, teacher_size="l", teacher_checkpoint="l.pth", logit_weight=0.2
    )
    assert apply_overrides(changed, ["distill=null"]) == PLAIN


def test_plain_data_with_unknown_keys_is_refused():
    plain = to_plain(PLAIN)
    plain["data"]["cache"] = 1
    with pytest.raises(InvalidArgumentError, match=r"data\.cache; did you mean data\.cache_gb"):
        from_plain(plain)


def test_wrong_values_are_refused_in_python_too():
    with pytest.raises(InvalidArgumentError, match="size must be one of t, s, m, l, x, not 'xl'"):
        Settings(name="a", size="xl")
    with pytest.raises(InvalidArgumentError, match="teacher_mode must be one of train, eval"):
        DistillSettings(stage=1, teacher_size="l", teacher_checkpoint="", teacher_mode="off")


@given(rate=st.floats(1e-8, 1e3), epochs=st.integers(1, 10_000))
def test_numbers_arrive_exactly(rate, epochs):
    changed = apply_overrides(PLAIN, [f"optimizer.learning_rate={rate!r}", f"epochs={epochs}"])
    assert (changed.optimizer.learning_rate, changed.epochs) == (rate, epochs)


def test_the_last_phase_takes_the_final_values():
    augment = AugmentSettings(final_epochs=30, final_rotation_degrees=60.0)
    assert augment.at_epoch(239, epochs=270) is augment
    final = augment.at_epoch(240, epochs=270)
    assert (final.shift_factor, final.hole_probability) == (0.0, 0.5)
    assert (final.rotation_degrees, final.scale_range) == (60.0, (0.5, 1.5))
    assert AugmentSettings(final_epochs=0).at_epoch(59, epochs=60) == AugmentSettings(
        final_epochs=0
    )


def test_reading_settings_does_not_load_torch():
    code = (
        "import sys; from dwpose_infer.models.training.recipes import recipe;"
        "from dwpose_infer.models.training.overrides import print_settings;"
        "print_settings(recipe('s1-l-t-256')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
