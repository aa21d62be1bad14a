"""The options of `dwpose-infer`, and the checks that each of them means something."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from ..canvas import CanvasFit
from ..errors import InvalidArgumentError
from ..inputs import Clip, Picture, is_sequence
from ..media.face_clip import MAX_SIZE
from ..picture_url import UrlAccess
from ..preference import Preference
from ..runtime import Runtime
from ..zoo import DEFAULT_DETECTOR, DEFAULT_POSE
from .drawing_options import check_drawings
from .model_options import runtime_of
from .outputs import DrawStyle
from .picture_options import check_person_options
from .presets import with_preset

CLIP_OPTIONS = (
    *("start", "end", "stride", "detect_every", "track", "smooth", "preview", "face_clip"),
)
OF_FACE_CLIP = ("face_size", "face_person", "face_missing")
URL_OPTIONS = ("url_hosts", "allow_private_urls")
PICTURE_OPTIONS = ("max_pixels", "annotations")

OF_FORMAT = {
    "openpose_body": "openpose",
    "openpose_confidence": "openpose",
    "openpose_folder": "openpose",
    "openpose_source": "openpose",
    "pupils": "openpose",
    "annotations": "coco",
    "coco_layout": "coco-dataset",
    "metres_per_pixel": "trc",
}
OF_DRAWING = {"boxes": "overlay", "line_widths": "openpose", "small_parts": "openpose"}
OF_CANVAS = ("canvas_size", "canvas_multiple", "canvas_fit")


@dataclass(frozen=True, slots=True, kw_only=True)
class InferOptions:
    """What a run does, as `dwpose-infer --help` describes the options of the same names.

    Attributes:
        preset: What --for has set, in words; empty without it.
        stated: Names of the options that stand on the command line.
        runtime: Where the networks run.
    """

    inputs: Sequence[str]
    camera: Sequence[int]
    sequence: bool
    out: Path | None
    format: Sequence[str] | None
    draw: Sequence[DrawStyle] | None
    skip_existing: bool
    json: bool
    quiet: bool
    pose: str | None
    detector: str | None
    square_input: bool
    score_threshold: float | None
    nms_threshold: float | None
    max_persons: int | None
    tile_side: int | None
    prefer: Preference = "score"
    whole_image: bool
    flip_test: bool
    keypoint_threshold: float | None
    parts: Sequence[str] | None
    drop_weak_hands: bool
    keep_doubtful: bool
    max_pixels: int | None
    url_hosts: Sequence[str] | None
    allow_private_urls: bool
    openpose_body: Literal[18, 25, 133] = 18
    openpose_confidence: Literal["real", "binary"] = "real"
    openpose_folder: Literal["keypoints", "json"] = "keypoints"
    openpose_source: Literal["name", "path"] = "name"
    pupils: Literal["zero", "eyes"] = "zero"
    coco_layout: Literal["wholebody", "one-list"] = "wholebody"
    annotations: Path | None
    metres_per_pixel: float | None
    canvas_size: int | tuple[int, int] | None
    canvas_multiple: int = 1
    canvas_fit: CanvasFit = "margins"
    line_scale: float = 1.0
    line_widths: Literal["scaled", "fixed"] = "scaled"
    small_parts: Literal["thin", "full"] = "thin"
    draw_threshold: Mapping[str, float] | None
    draw_outside: Literal["cut", "drop"] = "cut"
    boxes: bool
    face_clip: bool
    face_size: int = 512
    face_person: int | None
    face_missing: Literal["hold", "black"] = "hold"
    start: str | None
    end: str | None
    stride: int = 1
    frame_rate: float | None
    detect_every: int = 1
    track: bool
    smooth: bool
    preview: bool
    preset: str
    stated: frozenset[str]
    runtime: Runtime

    @property
    def urls(self) -> UrlAccess:
        """Where URLs may lead."""
        return UrlAccess.of(self.url_hosts, allow_private=self.allow_private_urls)

    @property
    def pose_settings(self) -> str:
        """All that the poses of a clip's frames depend on, besides the clip."""
        where = ("backend", "device", "provider", "precision")
        names = (
            *("drop_weak_hands", "score_threshold", "nms_threshold", "max_persons", "prefer"),
            *("whole_image", "square_input", "detect_every", "start", "end", "stride"),
            *("frame_rate", "flip_test", "keep_doubtful", "tile_side"),
        )
        values = {
            "pose": self.pose or DEFAULT_POSE,
            "detector": self.detector or DEFAULT_DETECTOR,
            "track": self.track or self.smooth,
            **{name: getattr(self.runtime, name) for name in where},
            **{name: getattr(self, name) for name in names},
        }
        return " ".join(f"{name}={value}" for name, value in values.items())


def options_of(given: Mapping[str, Any]) -> InferOptions:
    """Returns the options that the parser read, None or False where they were not given.

    Raises:
        InvalidArgumentError: One needs another that is not given.
    """
    stated = {name for name, value in given.items() if value is not None and value is not False}
    # What takes minutes, as building TensorRT's engines does, is told to a log file too.
    seen = sys.stderr.isatty() or given["backend"] == "trt"
    chosen, preset = with_preset(given, given["consumer"])
    set_ = {name for name, value in chosen.items() if value is not None and value is not False}
    needed = {field.name for field in fields(InferOptions) if field.default is MISSING}
    optional = {field.name for field in fields(InferOptions)} - needed
    options = InferOptions(
        **{name: chosen[name] for name in needed & chosen.keys() | optional & set_},
        preset=preset,
        stated=frozenset(stated),
        runtime=runtime_of(given, progress=seen and not given["quiet"]),
    )
    check_person_options(chosen)
    if options.frame_rate is not None and not options.sequence:
        raise InvalidArgumentError("--frame-rate is for --sequence; a video has its own frame rate")
    return options


def check_outputs(options: InferOptions, *, formats: Sequence[str], styles: Sequence[str]) -> None:
    """Checks that every option of a file is of one that is written.

    Raises:
        InvalidArgumentError: One is not.
    """
    _check_face_clip(options)
    if options.skip_existing and not (formats or styles or options.face_clip):
        raise InvalidArgumentError("--skip-existing goes by files, and none is to be written")
    tracks = options.track or options.smooth or options.max_persons == 1
    if "trc" in formats and not tracks:
        raise InvalidArgumentError(
            "--format trc writes a file for each person, so it needs --track, or --max-persons 1"
        )
    check_drawings(
        options.stated,
        styles=styles,
        parts=options.parts,
        thresholds=options.draw_threshold,
        keypoint_threshold=options.keypoint_threshold,
    )
    for flag, needed, present in (
        ("--format", OF_FORMAT, formats),
        ("--draw", OF_DRAWING, styles),
    ):
        for name, kind in needed.items():
            if name in options.stated and kind not in present:
                raise InvalidArgumentError(f"{_flag(name)} goes with {flag} {kind} only")
    for name in OF_CANVAS:
        if name in options.stated and "openpose" not in (*formats, *styles):
            raise InvalidArgumentError(
                f"{_flag(name)} goes with --draw openpose or --format openpose only"
            )


def _check_face_clip(options: InferOptions) -> None:
    for name in OF_FACE_CLIP:
        if name in options.stated and not options.face_clip:
            raise InvalidArgumentError(f"{_flag(name)} goes with --face-clip only")
    if not options.face_clip:
        return
    if not (options.track or options.smooth or options.max_persons == 1):
        raise InvalidArgumentError(
            "--face-clip follows one person, so it needs --track, or --max-persons 1"
        )
    if options.face_person is not None and not (options.track or options.smooth):
        raise InvalidArgumentError("--face-person is an id, and only --track gives ids")
    if not 2 <= options.face_size <= MAX_SIZE:
        raise InvalidArgumentError(f"--face-size is 2 to {MAX_SIZE} pixels")


def check_inputs(options: InferOptions, pictures: Sequence[Picture], clips: Sequence[Clip]) -> None:
    """Checks that every option applies to some input.

    Raises:
        InvalidArgumentError: One does not.
    """
    if options.sequence and not any(is_sequence(clip.source) for clip in clips):
        raise InvalidArgumentError(
            "--sequence takes folders and patterns for videos, and no input is one"
        )
    sources = [each.source for each in pictures] + [each.source for each in clips]
    for names, kind, found in (
        (CLIP_OPTIONS, "videos and cameras", clips),
        (PICTURE_OPTIONS, "pictures that are no videos", pictures),
        (URL_OPTIONS, "URLs", [each for each in sources if "://" in each]),
    ):
        idle = [_flag(name) for name in names if name in options.stated]
        if idle and not found:
            verb = "is" if len(idle) == 1 else "are"
            raise InvalidArgumentError(f"{', '.join(idle)} {verb} for {kind}, and no input is one")


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
