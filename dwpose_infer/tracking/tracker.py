"""`Tracker`: frames of a video in, the same frames with identities out."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from ..arrays import BoolArray, Float64Array, FloatArray, Int64Array
from ..preference import merits
from ..results import PoseResult
from ..similarity import box_areas
from .association import Pairs, associate
from .motion import FrameClock, common_steps, low_pass_share
from .people import People, joined, people_of, without_duplicates
from .settings import TrackerSettings

_VELOCITY_CUTOFF_HZ: Final = 1.0
# Low-pass on velocities, as the one-euro paper has it on its own (d_cutoff): a tenth of a second
# of walking is enough to know the speed, and noise of single frames does not count.


@dataclass(slots=True, eq=False)
class _Track:
    """A person over time; `id` is 0 until it has been seen often enough."""

    last: People
    last_seen_s: float
    sightings: deque[bool]
    id: int = 0
    velocity_sum: Float64Array = field(default_factory=lambda: np.zeros(2))
    velocity_weight: float = 0.0

    def velocity_px_s(self) -> Float64Array:
        if self.velocity_weight == 0:
            return np.zeros(2)
        return self.velocity_sum / self.velocity_weight

    def see(self, person: People, step_px: Float64Array, now_s: float) -> None:
        step_s = now_s - self.last_seen_s
        if step_s > 0:
            share = float(low_pass_share(_VELOCITY_CUTOFF_HZ, step_s))
            self.velocity_sum = (1 - share) * self.velocity_sum + share * step_px / step_s
            self.velocity_weight = (1 - share) * self.velocity_weight + share
        self.last, self.last_seen_s = person, now_s


class Tracker:
    """Gives the persons of a video identities that stay the same from frame to frame.

    A person is recognised by its box and its keypoints at the place where its speed should have
    taken it, also after having been hidden. Results do not depend on chance or on the order of
    the persons within a frame. Not for several threads at once; use one tracker per video, or
    `reset` between videos.

    Example:
        >>> tracker = Tracker(TrackerSettings(max_persons=2))
        >>> for time_s, result in results:
        ...     result = tracker.update(result, time_s=time_s)
        ...     print(time_s, result.ids)

    Attributes:
        settings: Thresholds and which persons are returned.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        """Starts before the first frame of a video.

        Args:
            settings: None takes the defaults.
        """
        self.settings = settings or TrackerSettings()
        self.reset()

    def reset(self) -> None:
        """Forgets everything, as before the first frame; ids start at 1 again."""
        self._clock = FrameClock(self.settings.frame_rate)
        self._selection = Selection(self.settings)
        self._tracks: list[_Track] = []
        self._last_id = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """Ids of the persons followed at present, also of those hidden."""
        return tuple(sorted(track.id for track in self._tracks if track.id))

    def update(self, result: PoseResult, *, time_s: float | None = None) -> PoseResult:
        """Recognises the persons of the next frame.

        Args:
            result: Persons of the frame; the tracker looks at boxes, box scores, the body's
                points and their scores. Frames with nobody belong to the video too.
            time_s: Time stamp of the frame in seconds, not before the last one's; None counts
                on at the settings' frame rate.

        Returns:
            The result with `ids`, without second detections, persons who have no id yet and
            those the settings leave out. Ids start at 1 and are never used again.

        Raises:
            InvalidArgumentError: The time runs backwards, or `prefer` is "center" and the
                picture's size is not known.
            MissingDependencyError: SciPy is not installed.
        """
        before_s = self._clock.now_s
        now_s = self._clock.advance(time_s)
        people = people_of(result)
        order = _best_first(people)
        people = people.select(order)
        kept = without_duplicates(people, threshold=self.settings.duplicate_oks)
        found, rows = people.select(kept), order[kept]

        pairs = self._recognise(found, now_s, now_s if before_s is None else before_s)
        ids = np.zeros(len(result), np.int64)
        recognised = [self._tracks[index] for index, _ in pairs]
        self._tracks = self._living(recognised, now_s, result.image_size)
        tracks_found = dict(zip((column for _, column in pairs), recognised, strict=True))
        for column in range(len(found)):
            track = tracks_found.get(column) or self._begin(found.select([column]), now_s)
            if self._is_certain(track) or before_s is None:
                self._give_id(track)
            ids[rows[column]] = track.id
        return self._returned(result, _boxes_as_given(people, order), ids)

    def _recognise(self, found: People, now_s: float, before_s: float) -> Pairs:
        """Pairs tracks with persons found, and lets those tracks see them."""
        if not self._tracks:
            return []
        hidden_s = np.array([now_s - track.last_seen_s for track in self._tracks])
        last = joined([track.last for track in self._tracks])
        velocities = np.array([track.velocity_px_s() for track in self._tracks])
        pairs = associate(
            last.moved(velocities * hidden_s[:, None]),
            found,
            hidden_s=hidden_s,
            step_s=now_s - before_s,
            settings=self.settings,
        )
        seen, persons = last.select([row for row, _ in pairs]), found.select([c for _, c in pairs])
        steps_px = _steps(seen, persons)
        for place, (row, _) in enumerate(pairs):
            self._tracks[row].see(persons.select([place]), steps_px[place], now_s)
        return pairs

    def _living(
        self, recognised: Sequence[_Track], now_s: float, image_size: tuple[int, int] | None
    ) -> list[_Track]:
        living = []
        seen = {id(track) for track in recognised}
        for track in self._tracks:
            track.sightings.append(id(track) in seen)
            if id(track) in seen or self._comes_back(track, now_s, image_size):
                living.append(track)
        return living

    def _comes_back(self, track: _Track, now_s: float, image_size: tuple[int, int] | None) -> bool:
        if not track.id:
            missed = track.sightings.count(False)
            return missed <= self.settings.birth_window - self.settings.birth_frames
        hidden_s = now_s - track.last_seen_s
        if hidden_s > self.settings.max_hidden_s:
            return False
        if image_size is None:
            return True
        step_px = track.velocity_px_s() * hidden_s
        whole = track.last.moved(step_px[None]).boxes_xyxy
        inside = np.clip(whole, 0, [*image_size, *image_size])
        return bool(box_areas(inside)[0] >= box_areas(whole)[0] / 2)

    def _begin(self, person: People, now_s: float) -> _Track:
        track = _Track(person, now_s, deque([True], maxlen=self.settings.birth_window))
        self._tracks.append(track)
        return track

    def _is_certain(self, track: _Track) -> bool:
        often = track.sightings.count(True) >= self.settings.birth_frames
        return often or bool(track.last.box_scores[0] >= self.settings.birth_score)

    def _give_id(self, track: _Track) -> None:
        if not track.id:
            self._last_id += 1
            track.id = self._last_id

    def _returned(self, result: PoseResult, boxes: Float64Array, ids: Int64Array) -> PoseResult:
        chosen = self._selection.choose(
            ids,
            boxes_xyxy=boxes,
            box_scores=result.box_scores,
            image_size=result.image_size,
            living=self.ids,
        )
        rows = np.flatnonzero(chosen)
        if self.settings.order == "id":
            rows = rows[np.argsort(ids[rows])]
        return replace(result, ids=ids).select(rows)


def _best_first(people: People) -> Int64Array:
    """Rows by box score, then from left to right: an order that the input's does not change."""
    left, top = people.boxes_xyxy[:, 0], people.boxes_xyxy[:, 1]
    return np.lexsort((top, left, -people.box_scores)).astype(np.int64)


def _boxes_as_given(people: People, order: Int64Array) -> Float64Array:
    boxes = np.empty_like(people.boxes_xyxy)
    boxes[order] = people.boxes_xyxy
    return boxes


def _steps(before: People, after: People) -> Float64Array:
    steps = common_steps(
        before.keypoints,
        after.keypoints,
        before_weights=before.weights,
        after_weights=after.weights,
    )
    return np.where(np.isnan(steps), after.centers - before.centers, steps)


class Selection:
    """Chooses persons frame by frame and remembers whom it holds a place for."""

    def __init__(self, settings: TrackerSettings) -> None:
        """Starts before the first frame.

        Args:
            settings: See `TrackerSettings`: max_persons, prefer, hold and keep_ids.
        """
        self._settings = settings
        self._held: list[int] = []

    def choose(
        self,
        ids: Int64Array,
        *,
        boxes_xyxy: Float64Array,
        box_scores: FloatArray | None,
        image_size: tuple[int, int] | None,
        living: Sequence[int],
    ) -> BoolArray:
        """Returns which persons of a frame are wanted.

        Args:
            ids: (P,) ids, 0 for persons without.
            boxes_xyxy: (P, 4) pixels.
            box_scores: (P,) or None.
            image_size: (width, height) of the picture, or None.
            living: Ids of all persons followed, also of those hidden.

        Returns:
            (P,) bool.

        Raises:
            InvalidArgumentError: `prefer` is "center" and the picture's size is not known.
        """
        wanted = ids > 0
        if self._settings.keep_ids is not None:
            wanted &= np.isin(ids, self._settings.keep_ids)
        limit = self._settings.max_persons
        if limit is None:
            return wanted
        worth = merits(self._settings.prefer, boxes_xyxy, box_scores, image_size)
        candidates = [int(ids[row]) for row in np.lexsort((ids, -worth)) if wanted[row]]
        held = [person for person in self._held if self._settings.hold and person in living]
        held += [person for person in candidates if person not in held][: limit - len(held)]
        self._held = held
        return wanted & np.isin(ids, held)
