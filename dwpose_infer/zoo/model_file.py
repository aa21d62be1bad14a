"""What a file given for a model really is, told by its first bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ..errors import ModelFormatError

LFS_START: Final = b"version https://git-lfs.github.com/spec/"
"""First line of what Git leaves in place of a large file until `git lfs pull` (its spec, v1)."""

ZIP_START: Final = b"PK\x03\x04"
PICKLE_START: Final = b"\x80"
CHECKPOINT_SUFFIXES: Final = (".pth", ".pt", ".ckpt", ".safetensors")
HEAD_BYTES: Final = 512
MAX_FILE_BYTES: Final = 2 << 30  # the largest model is 0.4 GB: more is a mistake or an attack


def require_model_file(path: Path, *, to_run: bool = False) -> None:
    """Refuses files that only stand in for a model.

    Args:
        path: An existing file.
        to_run: Refuse checkpoints too, which have to be exported before they run.

    Raises:
        ModelFormatError: It is empty, a Git LFS pointer, a web page, or, to run it, a checkpoint;
            the message says what to do.
    """
    problem = _stand_in(_head(path))
    if problem is None and to_run and is_checkpoint(path):
        problem = (
            "is a checkpoint of PyTorch, not a model that a runtime takes; export it first: "
            f"dwpose-export {path.name} --out {path.stem}.onnx"
        )
    if problem is not None:
        raise ModelFormatError(f"{path} {problem}")


def _stand_in(head: bytes) -> str | None:
    if not head:
        return "is empty: its download or copy has failed; get it again"
    if head.startswith(LFS_START):
        return (
            "is a Git LFS pointer, not the file itself: run `git lfs pull` in its repository, or "
            "download it from the page of the repository"
        )
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html")):
        return (
            "is a web page, not a model: the download led to a page (of a login or a "
            "confirmation); open the link in a browser, or take the link of the raw file"
        )
    return None


def impostor(path: Path) -> str:
    """Words for what often comes in the place of a model, or nothing."""
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"<"):
        return " but a web page (does this network ask to log in?)"
    if head.startswith(b"version https://git-lfs"):
        return " but a Git LFS pointer"
    return ""


def is_checkpoint(path: Path) -> bool:
    """Tells whether a file is one of PyTorch's or safetensors', by its name or its first bytes.

    Raises:
        ModelFormatError: It cannot be read.
    """
    if path.suffix.lower() in CHECKPOINT_SUFFIXES:
        return True
    return _head(path).startswith((ZIP_START, PICKLE_START))


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(HEAD_BYTES)
    except OSError as error:
        raise ModelFormatError(f"{path} cannot be read: {error}") from error
