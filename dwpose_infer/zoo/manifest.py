"""What is known about each model: the entries of `manifest.json` and how to look them up."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, TypeAlias, get_args

from ..errors import InvalidArgumentError, ModelNotFoundError
from ..files.atomic import is_file
from .download import Source
from .places import StrPath, cache_folder, package_file, user_path

ModelKind: TypeAlias = Literal["pose", "detector"]

DEFAULT_POSE: Final = "dwpose-s-bundled"
DEFAULT_DETECTOR: Final = "yolox-nano-person-bundled"


@dataclass(frozen=True, slots=True)
class PublicAccuracy:
    """Accuracy of a model as its authors published it.

    Attributes:
        metric: What was measured, on which data.
        ap: Average precision in percent.
        ar: Average recall in percent, or None where not published.
        source: Address of the publication.
    """

    metric: str
    ap: float
    ar: float | None
    source: str


@dataclass(frozen=True, slots=True)
class WithPoints:
    """Thresholds of a detector where the pose network has a say in who is a person.

    Attributes:
        score_threshold: Boxes must score above this to be given points.
        person_threshold: Least product of a box's score and the mean score of its body's points.
    """

    score_threshold: float
    person_threshold: float


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """One model of the manifest.

    Attributes:
        name: Name by which it is asked for, such as "dwpose-m".
        kind: "pose" (133 keypoints of one person's crop) or "detector" (boxes of persons).
        description: One line that helps to choose.
        input_hw: Height and width of the network's input in pixels.
        urls: Addresses of the same bytes, tried in this order; empty for a bundled model.
        archive_member: Where the URLs lead to a zip: pattern of the one file wanted from it.
        bundled_file: File name in the package's folder `weights`, or None if not bundled.
        size_bytes: Size of the .onnx file, or None where not published.
        sha256: SHA-256 of the .onnx file in lower-case hex, or None where not published.
        licence: SPDX identifier of the licence of the weights.
        licence_note: What else is to be known about the licence.
        accuracy: Published accuracy, or None.
        score_threshold: Least score of a detected person, 0 to 1; None means the usual default.
        with_points: What counts instead where a pose network looks at the boxes, or None.
        passed_precisions: Precisions below fp32 in which the file was evaluated on labels and
            stayed within .003 of PCK in each of body, feet, face and hands, and .005 of AP.
    """

    name: str
    kind: ModelKind
    description: str
    input_hw: tuple[int, int]
    urls: tuple[str, ...]
    archive_member: str | None
    bundled_file: str | None
    size_bytes: int | None
    sha256: str | None
    licence: str
    licence_note: str
    accuracy: PublicAccuracy | None
    score_threshold: float | None
    with_points: WithPoints | None = None
    passed_precisions: tuple[Literal["bf16"], ...] = ()

    @property
    def source(self) -> Source:
        """What a download needs to know."""
        return Source(self.urls, self.archive_member, self.size_bytes, self.sha256)

    def file_path(self, *, home: StrPath | None = None) -> Path:
        """Path at which the model's file is, or will be once it is downloaded.

        Args:
            home: Folder to use instead of `DWPOSE_HOME`; bundled models do not depend on it.
        """
        if self.bundled_file is not None:
            return package_file("weights", self.bundled_file)
        return cache_folder(home) / f"{self.name}.onnx"


@dataclass(frozen=True, slots=True)
class _Manifest:
    models: tuple[ModelSpec, ...]
    schema_version: Literal[1] = 1


def list_models(kind: ModelKind | None = None) -> tuple[ModelSpec, ...]:
    """All models, or those of one kind, in the manifest's order: bundled first, then by size.

    Raises:
        InvalidArgumentError: There is no such kind.
    """
    if kind not in (None, *get_args(ModelKind)):
        raise InvalidArgumentError(f"kind is 'pose' or 'detector', not {kind!r}")
    return tuple(spec for spec in read_manifest().values() if kind in (None, spec.kind))


def get_spec(name: str) -> ModelSpec:
    """Look a model up by its name.

    Raises:
        ModelNotFoundError: No model has this name; the message says which are nearest.
    """
    try:
        return read_manifest()[name]
    except KeyError:
        raise ModelNotFoundError(_unknown_name(name)) from None


def find_spec(name_or_path: StrPath) -> ModelSpec | None:
    """The model that `resolve_model` takes this argument for, or None where it is a file."""
    if not isinstance(name_or_path, str) or is_file(user_path(name_or_path)):
        return None
    return read_manifest().get(name_or_path)


@functools.cache
def read_manifest() -> dict[str, ModelSpec]:
    """All models by their names, in the manifest's order."""
    from ..files.document import read_document

    manifest = read_document(package_file("zoo", "manifest.json"), _Manifest)
    return {spec.name: spec for spec in manifest.models}


def _unknown_name(name: str) -> str:
    import difflib

    nearest = difflib.get_close_matches(name.lower(), read_manifest(), n=3, cutoff=0.5)
    hint = f" (nearest: {', '.join(nearest)})" if nearest else ""
    return (
        f"no model is called {name!r}{hint}: `dwpose-models list` shows all names, and the path "
        f"of an .onnx file is accepted too"
    )
