"""Which of the persons recognised are returned."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ..poses import Int64Array
from ..preference import merits
from ..similarity import Float64Array, FloatArray
from .settings import TrackerSettings


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
    ) -> npt.NDArray[np.bool_]:
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
