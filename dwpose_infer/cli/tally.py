"""What a run has done so far, and its lines: notes said once, the summary at the end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ..picture_url import short, without_password
from ..pipeline import detector_options
from ..results import PoseResult
from ..zoo import DEFAULT_DETECTOR
from .exit_status import printable
from .infer_options import InferOptions
from .outputs import OutputPlan
from .video import ClipTally


@dataclass
class Tally:
    """What a run has done so far."""

    done: int = 0
    persons: int = 0
    empty: int = 0  # of those done, pictures with nobody on them
    failed: int = 0
    interrupted: bool = False
    noted: int = 0  # of those done, pictures of which something was altered or assumed
    kinds_said: set[str] = field(default_factory=set)


def new_notes(result: PoseResult, tally: Tally) -> list[str]:
    """Lines on what was left out, altered or assumed of a picture, one for each kind in a run."""
    tally.noted += bool(result.notes)
    lines = []
    for note in result.notes:
        kind = re.sub(r"[0-9.]+", "", note)
        if kind not in tally.kinds_said:
            tally.kinds_said.add(kind)
            name = short(without_password(str(result.source)))
            lines.append(printable(f"dwpose-infer: {name}: {note} (said once)"))
    return lines


def summary(
    tally: Tally, clips: ClipTally, skipped: int, elapsed_s: float, plan: OutputPlan | None
) -> str:
    """Returns the closing line of a run."""
    words = []
    if tally.done or tally.failed or not (clips.done or clips.failed or clips.interrupted):
        words.append(f"{counted(tally.done, 'picture')}, {counted(tally.persons, 'person')}")
    if clips.done or clips.failed or clips.interrupted:
        words.append(f"{counted(clips.done, 'video')}, {counted(clips.frames, 'frame')}")
    if tally.failed or clips.failed:
        words.append(f"{tally.failed + clips.failed} failed")
    if tally.noted:
        words.append(f"{tally.noted} with notes")
    if skipped:
        words.append(f"{skipped} skipped, their results were there already")
    words.append(f"{elapsed_s:.1f} s")
    if plan and (tally.done or clips.frames):
        words.append(f"results in {plan.folder}")
    return "; ".join(words)


def nobody_found(options: InferOptions, tally: Tally) -> str:
    """Says on how many pictures nobody was found, and which options not yet given may help."""
    ways = []
    if options.score_threshold is None:
        own = detector_options(options.detector or DEFAULT_DETECTOR).score_threshold
        ways.append(f"--score-threshold 0.2 (default {own:g}) takes less sure ones")
    if not options.whole_image:
        ways.append("--whole-image takes the whole picture where nobody is found")
    if options.detector is None:
        ways.append("--det yolox-nano or larger (yolox-m, yolox-l) finds more, by download")
    found = f"nobody found on {tally.empty} of {counted(tally.done, 'picture')}"
    return f"{found}. If there is somebody: {'; '.join(ways)}" if ways else found


def counted(number: int, noun: str) -> str:
    """Returns "1 picture", "2 pictures" and so on."""
    return f"{number} {noun}{'' if number == 1 else 's'}"
