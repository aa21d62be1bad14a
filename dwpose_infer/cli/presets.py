"""What other packages want of the files: `--for NAME` sets it, and options given by hand win.

Each of these has read our files with the real package, see docs/formats.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from ..errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Preset:
    """The options that a package's reader needs.

    Attributes:
        reader: What it is for, in a few words.
        settings: Name of an option of `dwpose-infer` -> its value.
        advice: What the options cannot do, said when the preset is used; empty if nothing.
    """

    reader: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    advice: str = ""


PRESETS: Final[Mapping[str, Preset]] = {
    "controlnet": Preset(
        "ControlNet's drawing and the pose editors",
        {
            "format": ["openpose"],
            "draw": ["openpose"],
            "openpose_body": 18,
            "openpose_confidence": "binary",
            "pupils": "eyes",
        },
    ),
    "pose-format": Preset(
        "pose-format (sign language)",
        {"format": ["openpose"], "draw": [], "openpose_body": 25, "openpose_confidence": "real"},
        "it reads every file of the folder and takes a frame's number from the end of its name",
    ),
    "pose2sim": Preset(
        "Pose2Sim (biomechanics)",
        {
            "format": ["openpose"],
            "openpose_body": 25,
            "openpose_confidence": "real",
            "openpose_folder": "json",
        },
        'set pose_model = "BODY_25" in its Config.toml, and with --start frame_range to the '
        "numbers of the files: by itself it counts from 0",
    ),
    "pose2sim-133": Preset(
        "Pose2Sim with hands and face",
        {
            "format": ["openpose"],
            "openpose_body": 133,
            "openpose_confidence": "real",
            "openpose_folder": "json",
        },
        'set pose_model = "COCO_133" in its Config.toml, and frame_range as for pose2sim',
    ),
    "fiftyone": Preset(
        "FiftyOne (data sets to look at)",
        {"format": ["coco-dataset"], "coco_layout": "one-list"},
    ),
    "sleap-io": Preset(
        "sleap-io (labels in SLEAP)",
        {"format": ["coco-dataset"], "draw": [], "coco_layout": "one-list"},
    ),
}
"""Name of a package -> what it wants."""


def with_preset(given: Mapping[str, Any], name: str | None) -> tuple[dict[str, Any], str]:
    """Returns the options with those of a preset where none was given, and what that was.

    Args:
        given: The options read, None where not given.
        name: Name of a preset, or None.

    Returns:
        The options, and a line for the user; empty without a preset.

    Raises:
        InvalidArgumentError: Formats were given, and the one it reads is not among them.
    """
    if name is None:
        return dict(given), ""
    preset = PRESETS[name]
    (format,) = preset.settings["format"]
    if given["format"] is not None and format not in given["format"]:
        raise InvalidArgumentError(
            f"--for {name} is about --format {format}, which is not among those given; add it, or "
            "leave one of the two out"
        )
    settings = {key: value for key, value in preset.settings.items() if given[key] is None}
    words = [f"--{key.replace('_', '-')} {_text(value)}" for key, value in settings.items()]
    line = f"--for {name} sets {' '.join(words) or 'nothing, all of it was given'}"
    return {**given, **settings}, f"{line}; {preset.advice}" if preset.advice else line


def _text(value: Any) -> str:
    return ",".join(value) or "none" if isinstance(value, list) else str(value)
