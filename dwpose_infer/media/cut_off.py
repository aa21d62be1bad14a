"""Finding out that the end of a clip is missing, such as after a broken copy or a full disk."""

from __future__ import annotations

from typing import Final

from .decoding import Decoder

_INDEXED: Final = frozenset({"mov", "mp4", "avi"})
"""Containers whose index lists every packet with its place in the file."""

_MATROSKA: Final = "matroska"

TOLERANCE_S: Final = 1.0
"""A Matroska file is cut off where more than this is missing of the duration in its header; less
can be the end of a longer sound track."""


def missing_end(decoder: Decoder, *, frames: int, end_s: float) -> str | None:
    """Tells whether a clip that was decoded to its last packet should go on.

    Args:
        decoder: The clip.
        frames: Number of frames up to there.
        end_s: End of the last one, in seconds from the first.

    Returns:
        What is missing, in words, or None.
    """
    if decoder.ends_in_fragment:
        return f"the file is cut off after {frames} frames, within a fragment"
    formats = set(decoder.container.format.name.split(","))
    if formats & _INDEXED:
        entries = list(decoder.stream.index_entries)
        size = decoder.container.size
        if size <= 0:
            return None
        missing = sum(entry.pos + entry.size > size for entry in entries)
        if missing:
            return f"the file is cut off: {missing} of its {len(entries)} frames are missing"
    duration_s = decoder.duration_s or 0.0 if _MATROSKA in formats else 0.0
    if duration_s - end_s > TOLERANCE_S and _reaches_end(decoder):
        return (
            f"the file is cut off: it ends after {end_s:.3f} s and {frames} frames, "
            f"its header says {duration_s:.3f} s"
        )
    return None


def _reaches_end(decoder: Decoder) -> bool:
    """Tells whether the video is as long as the file; a sound track may be longer than it."""
    text = decoder.stream.metadata.get("DURATION", "")  # "00:01:02.500000000", of FFmpeg
    parts = text.split(":")
    if len(parts) != 3:
        return True
    try:
        hours, minutes, seconds = (float(part) for part in parts)
    except ValueError:
        return True
    whole_s = decoder.container.duration / 1e6  # AV_TIME_BASE; both are times of the end
    return bool(whole_s - (3600 * hours + 60 * minutes + seconds) <= TOLERANCE_S)
