"""People walking through a picture, with known truth, as a detector and a pose network see them.

Lengths are in the walker's height, times in seconds. Walking is 0.82 heights a second: 1.4 m/s
(the usual preferred speed of adults) at 1.7 m.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dwpose_infer.keypoints import FACE, KEYPOINT_INDEX, LEFT_HAND, NUM_KEYPOINTS, RIGHT_HAND
from dwpose_infer.nms import nms
from dwpose_infer.results import PoseResult
from dwpose_infer.similarity import box_iou

FPS = 30.0
WALKING = 0.82
SIZE_WH = (1280, 720)


@dataclass(frozen=True)
class Walker:
    """Somebody on a straight way.

    Attributes:
        x: Place at time 0, pixels.
        speed: Heights per second, negative to the left.
        height: Pixels.
        top: Pixels from the upper edge of the picture to the top of the head.
        depth: The smaller one is in front.
        phase: Of the step at time 0, in turns.
        hidden: Frames in which nothing is seen of the walker.
        turns_s: Time of turning round; None for never.
    """

    x: float
    speed: float = WALKING
    height: float = 400.0
    top: float = 200.0
    depth: float = 0.0
    phase: float = 0.0
    hidden: range = range(0)
    turns_s: float | None = None

    def place_px(self, time_s: float) -> float:
        way = time_s
        if self.turns_s is not None and time_s > self.turns_s:
            way = 2 * self.turns_s - time_s
        return self.x + self.speed * self.height * way

    def keypoints(self, time_s: float) -> np.ndarray:
        """(133, 2) pixels."""
        facing = np.sign(self.speed) or 1.0
        if self.turns_s is not None and time_s > self.turns_s:
            facing = -facing
        points = _gait(abs(self.speed), facing, time_s, self.phase)
        return points * self.height + [self.place_px(time_s), self.top]


def _gait(speed: float, facing: float, time_s: float, phase: float) -> np.ndarray:
    """A figure seen from the side, middle of the hips at x = 0, from y = 0 (head) to 1 (sole)."""
    turn = 2 * np.pi * (0.95 * time_s + phase)  # 0.95 strides a second go with 0.82 heights
    swing = min(speed / WALKING, 1.5)
    points = np.zeros((NUM_KEYPOINTS, 2))

    def put(name, x, y):
        points[KEYPOINT_INDEX[name]] = x * facing, y

    for side, sign in (("left", 1.0), ("right", -1.0)):
        put(f"{side}_eye", 0.055 + 0.01 * sign, 0.055)
        put(f"{side}_ear", 0.01 + 0.01 * sign, 0.065)
        put(f"{side}_shoulder", 0.025 * sign, 0.18)
        put(f"{side}_hip", 0.02 * sign, 0.52)
        leg, arm = 0.42 * swing * np.sin(turn) * sign, -0.35 * swing * np.sin(turn) * sign
        bend = 0.5 * swing * max(0.0, np.cos(turn) * sign)
        knee = np.array([0.02 * sign + 0.24 * np.sin(leg), 0.52 + 0.24 * np.cos(leg)])
        ankle = knee + 0.22 * np.array([np.sin(leg - bend), np.cos(leg - bend)])
        elbow = np.array([0.025 * sign + 0.17 * np.sin(arm), 0.18 + 0.17 * np.cos(arm)])
        wrist = elbow + 0.15 * np.array([np.sin(arm + 0.2), np.cos(arm + 0.2)])
        for name, place in (("knee", knee), ("ankle", ankle), ("elbow", elbow), ("wrist", wrist)):
            put(f"{side}_{name}", *place)
        put(f"{side}_big_toe", *np.add(ankle, [0.1, 0.03]))
        put(f"{side}_small_toe", *np.add(ankle, [0.09, 0.03]))
        put(f"{side}_heel", *np.add(ankle, [-0.03, 0.02]))
        hand = LEFT_HAND if side == "left" else RIGHT_HAND
        spread = np.linspace(0, 1, 21)[:, None] * [0.03, 0.08] + wrist
        points[hand] = spread * [facing, 1.0]
    put("nose", 0.07, 0.075)
    around = np.linspace(0, 2 * np.pi, 68, endpoint=False)
    points[FACE] = np.stack(
        [(0.04 + 0.03 * np.cos(around)) * facing, 0.08 + 0.05 * np.sin(around)], 1
    )
    points[:, 1] += 0.01 * swing * np.cos(2 * turn)
    return points


@dataclass(frozen=True)
class Seeing:
    """How badly persons are seen.

    Attributes:
        point_noise: Standard deviation of each coordinate, heights.
        box_noise: Of each side of a box, heights.
        missed: Probability that a person is not found in a frame.
        doubled: Probability of a second detection, of the upper two thirds.
        taken_for_front: Probability that the points of somebody overlapped by another one are
            those of the one in front.
        nms_threshold: IoU above which the detector keeps the one in front only; its default.
        score: Box scores, plus or minus 0.1.
    """

    point_noise: float = 0.008
    box_noise: float = 0.015
    missed: float = 0.0
    doubled: float = 0.0
    taken_for_front: float = 0.0
    nms_threshold: float = 0.45
    score: float = 0.75


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame: what was seen, and `truth[row]`, the walker the points of each row show."""

    time_s: float
    result: PoseResult
    truth: list[int]


def film(
    walkers: Sequence[Walker],
    *,
    frames: int,
    seeing: Seeing | None = None,
    rng: np.random.Generator,
    fps: float = FPS,
) -> list[Frame]:
    """Returns the frames of a scene."""
    seeing = seeing or Seeing()
    return [_frame(walkers, index, index / fps, seeing, rng) for index in range(frames)]


def truth_box(points: np.ndarray, height: float) -> np.ndarray:
    """The box around points with the space a detector leaves."""
    margin = height * np.array([0.05, 0.07])
    return np.concatenate([points.min(0) - margin, points.max(0) + margin * [1, 0.4]])


def _frame(walkers, index, time_s, seeing, rng) -> Frame:
    seen = []  # who the points show, points, box, box score
    for who in sorted(range(len(walkers)), key=lambda who: walkers[who].depth):
        walker = walkers[who]
        points = walker.keypoints(time_s)
        whole = truth_box(points, walker.height)
        inside = np.clip(whole, 0, [*SIZE_WH, *SIZE_WH])
        in_sight = (inside[2:] - inside[:2]).prod() >= 0.2 * (whole[2:] - whole[:2]).prod()
        if index in walker.hidden or not in_sight or rng.random() < seeing.missed:
            continue
        shown = who
        if rng.random() < seeing.taken_for_front:
            for front, front_points, front_box, _ in seen:
                if box_iou(inside[None], front_box[None])[0, 0] > 0.2:
                    shown, points = front, front_points
        box = inside + rng.normal(0, seeing.box_noise * walker.height, 4)
        seen.append((shown, points, box, seeing.score + rng.uniform(-0.1, 0.1)))
        if rng.random() < seeing.doubled:
            upper = box - [0, 0, 0, 0.36 * walker.height]
            seen.append((shown, points, upper, seeing.score - 0.2))
    if not seen:
        return Frame(time_s, PoseResult.empty(image_size=SIZE_WH), [])
    boxes = np.array([box for _, _, box, _ in seen], np.float32)
    in_front_first = np.arange(len(seen), 0, -1).astype(np.float32)
    kept = rng.permutation(np.sort(nms(boxes, in_front_first, iou_threshold=seeing.nms_threshold)))
    heights = np.array([walkers[seen[row][0]].height for row in kept])[:, None, None]
    points = np.array([seen[row][1] for row in kept])
    points = points + rng.normal(0, 1, points.shape) * seeing.point_noise * heights
    result = PoseResult(
        keypoints=points.astype(np.float32),
        scores=np.clip(rng.normal(0.7, 0.08, points.shape[:2]), 0.05, 1.2).astype(np.float32),
        boxes_xyxy=boxes[kept],
        box_scores=np.array([seen[row][3] for row in kept], np.float32),
        image_size=SIZE_WH,
    )
    return Frame(time_s, result, [seen[row][0] for row in kept])
