"""How far average precision may lie from its figure, because the pictures are few.

The bootstrap of Efron (1979): pictures are drawn anew with replacement, as many as there are, and
the figure is taken again; the middle 95 % of many such figures are the interval. Persons of one
picture stay together, for they are not independent of one another.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from tqdm import tqdm

from ..arrays import BoolArray, Float64Array, IndexArray, Int64Array
from ..errors import InvalidArgumentError

DEFAULT_RESAMPLES: Final = 1000
"""Resamples from which the ends of a 95 % interval are taken: 25 lie beyond either end."""

SHARES: Final = (0.025, 0.975)
"""Shares of the figures below the interval's ends."""


@dataclass(frozen=True, slots=True, eq=False)
class _Matched:
    """Persons found, best first, of all pictures; T thresholds of OKS, N persons, I pictures."""

    pictures: IndexArray  # (N,) place of each one's picture
    right: BoolArray  # (T, N)
    wrong: BoolArray  # (T, N)
    labelled: Int64Array  # (I,) labelled persons that count
    recalls: Float64Array  # at which precision is taken


def ap_interval(
    evaluator: Any,
    *,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
    progress: bool = False,
) -> tuple[float, float] | None:
    """Returns the ends of AP's 95 % bootstrap interval.

    Args:
        evaluator: A `COCOeval` after `evaluate`; its first range of areas, all, is taken.
        resamples: How many times the pictures are drawn, at least 1.
        seed: Of the draws; the same one gives the same interval.
        progress: Show a progress bar on standard error.

    Returns:
        Low and high end from 0 to 1; None where nothing is labelled.

    Raises:
        InvalidArgumentError: `resamples` is below 1.
    """
    if resamples < 1:
        raise InvalidArgumentError(f"{resamples} resamples: give at least 1")
    matched = _matched(evaluator)
    rng = np.random.default_rng(seed)
    pictures = len(matched.labelled)
    figures = []
    for _ in tqdm(range(resamples), "resample", leave=False, disable=not progress):
        drawn = np.bincount(rng.integers(pictures, size=pictures), minlength=pictures)
        figure = average_precision(matched, drawn)
        if figure is not None:
            figures.append(figure)
    if not figures:
        return None
    low, high = np.quantile(figures, SHARES)
    return float(low), float(high)


def average_precision(matched: _Matched, drawn: Int64Array) -> float | None:
    """Returns AP over pictures of which each counts a number of times, as COCO computes it.

    Args:
        matched: All persons found.
        drawn: (I,) how many times each picture counts.
    """
    labelled = int((matched.labelled * drawn).sum())
    if not labelled:
        return None
    times = drawn[matched.pictures]
    right = np.cumsum(matched.right * times, axis=1)
    wrong = np.cumsum(matched.wrong * times, axis=1)
    precision = right / np.maximum(right + wrong, np.spacing(1))
    # Precision at a recall is the best one at that recall or beyond.
    precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
    taken = np.zeros((len(right), len(matched.recalls)))
    for row, reached, best in zip(taken, right / labelled, precision, strict=True):
        places = np.searchsorted(reached, matched.recalls, side="left")
        within = places < len(best)
        row[within] = best[places[within]]
    return float(taken.mean())


def _matched(evaluator: Any) -> _Matched:
    """Gathers what pycocotools matched, picture by picture."""
    images = list(evaluator.params.imgIds)
    entries = evaluator.evalImgs[: len(images)]  # the first area is that of all sizes
    thresholds = len(evaluator.params.iouThrs)
    found = [(place, each) for place, each in enumerate(entries) if each is not None]
    counts = [len(each["dtScores"]) for _, each in found]
    scores = np.concatenate([np.zeros(0), *(each["dtScores"] for _, each in found)])
    order = np.argsort(-scores, kind="mergesort")
    empty = np.zeros((thresholds, 0), np.bool_)
    hit = np.concatenate([empty, *(each["dtMatches"] > 0 for _, each in found)], axis=1)
    ignored = np.concatenate([empty, *(each["dtIgnore"] > 0 for _, each in found)], axis=1)
    labelled = np.zeros(len(images), np.int64)
    for place, each in found:
        labelled[place] = int((np.asarray(each["gtIgnore"]) == 0).sum())
    return _Matched(
        pictures=np.repeat([place for place, _ in found], counts).astype(np.intp)[order],
        right=(hit & ~ignored)[:, order],
        wrong=(~hit & ~ignored)[:, order],
        labelled=labelled,
        recalls=np.asarray(evaluator.params.recThrs, np.float64),
    )
