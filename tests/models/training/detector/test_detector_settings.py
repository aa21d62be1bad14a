from __future__ import annotations

import pytest

from dwpose_infer.errors import InvalidArgumentError
from dwpose_infer.models.training.detector.settings import DetectorSettings
from dwpose_infer.models.training.overrides import (
    apply_overrides,
    print_settings,
    settings_of_kind,
    to_plain,
)
from dwpose_infer.models.training.settings import DataSource


def test_settings_come_back_from_plain_data_and_from_text():
    source = DataSource(annotations="a.json", images="b", repeats=2.5)
    settings = apply_overrides(
        DetectorSettings(teacher="t.onnx", initial="start.pth"),
        [
            "size=tiny",
            "frozen_stages=2",
            "scenes.kind_shares=[1, 0, 0, 0, 0]",
            'data.train=[{"annotations": "a.json", "images": "b", "repeats": 2.5}]',
            "loss.label_weight=0.5",
        ],
    )
    assert settings.size == "tiny"
    assert settings.scenes.kind_shares == (1, 0, 0, 0, 0)
    assert settings.data.train == (source,)
    assert settings_of_kind(DetectorSettings, to_plain(settings)) == settings
    lines = print_settings(settings).splitlines()
    assert "frozen_stages = 2" in lines
    assert "loss.label_weight = 0.5" in lines
    assert settings.architecture.name == "yolox-tiny"
    assert settings.architecture.classes == 1


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("size=huge", "size must be one of nano, tiny"),
        ("best_by=PCK", "best_by must be one of AP, AP_50"),
        ("input_width=100", "multiple of 32"),
        ("frozen_stages=2", "frozen_stages needs initial"),
        ("frozen_stages=6", "between 0 and 5"),
        ("epochs=0", "epochs must be at least 1"),
        ("scenes.kind_shares=[0, 0, 0, 0, 0]", "nor all 0"),
        ("scenes.flip_probability=2", "is a probability"),
        ("scenes.crop_range=[0.5, 0.2]", r"crop_range must be in order"),
        ("scenes.noise_range=[0, 1]", "noise_range must be in order"),
        ("loss.box_score=1", "box_score must be in 0..1"),
        ("loss.iou_weight=-1", "iou_weight cannot be negative"),
        ("loss.giou_weight=1", "did you mean loss.iou_weight"),
        ("data.workers=-1", "workers cannot be negative"),
    ],
)
def test_wrong_values_are_refused_by_name(assignment, message):
    with pytest.raises(InvalidArgumentError, match=message):
        apply_overrides(DetectorSettings(), [assignment])
