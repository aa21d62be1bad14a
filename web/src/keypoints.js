/** The 133 keypoints of COCO-WholeBody as data; `dwpose_infer.keypoints` has their names. */

/** Name of each part, and its range among the 133: first, and one past the last. */
export const PARTS = Object.freeze({
  body: [0, 17],
  feet: [17, 23],
  face: [23, 91],
  left_hand: [91, 112],
  right_hand: [112, 133],
});

export const NUM_KEYPOINTS = 133;

/** Bones of the body as pairs of keypoints; those of the head are the ones with an index below 5. */
// prettier-ignore
export const BODY_LINKS = Object.freeze([
  [15, 13], [13, 11], [16, 14], [14, 12], [11, 12], [5, 11], [6, 12], [5, 6], [5, 7], [6, 8],
  [7, 9], [8, 10], [1, 2], [0, 1], [0, 2], [1, 3], [2, 4], [3, 5], [4, 6],
]);

// prettier-ignore
export const FEET_LINKS = Object.freeze([
  [15, 17], [15, 18], [15, 19], [16, 20], [16, 21], [16, 22],
]);

/** Bones of a hand, counted from its root: five chains of four, thumb to pinky. */
export const HAND_LINKS = Object.freeze(
  [1, 5, 9, 13, 17].flatMap((first) => [
    [0, first],
    [first, first + 1],
    [first + 1, first + 2],
    [first + 2, first + 3],
  ]),
);

/**
 * Keypoint for each of OpenPose's 18 points of the body: nose, neck, right arm, left arm, right
 * leg, left leg, eyes, ears. The neck is none of the 133: the middle of 5 and 6.
 */
// prettier-ignore
export const OPENPOSE_18 = Object.freeze([
  0, null, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3,
]);

/** Limbs of OpenPose's body, as indices into its 18 points. */
// prettier-ignore
export const OPENPOSE_LIMBS = Object.freeze([
  [1, 2], [1, 5], [2, 3], [3, 4], [5, 6], [6, 7], [1, 8], [8, 9], [9, 10], [1, 11], [11, 12],
  [12, 13], [1, 0], [0, 14], [14, 16], [0, 15], [15, 17],
]);

/**
 * The points that are drawn: those whose score reaches the least one, in pixels of a canvas.
 *
 * @param {import('./predictor.js').Person} person
 * @param {{minScore: number, scaleX: number, scaleY: number}} options
 * @returns {Array<[number, number] | null>} 133 points, null where one is not drawn.
 */
export function visiblePoints(person, { minScore, scaleX, scaleY }) {
  return Array.from(person.scores, (score, index) => {
    if (!(score >= Math.fround(minScore))) return null;
    return [person.keypoints[2 * index] * scaleX, person.keypoints[2 * index + 1] * scaleY];
  });
}

/** The longer side of the box around the points that are there; 0 for none. */
export function extent(points) {
  const there = points.filter((point) => point !== null);
  if (!there.length) return 0;
  const side = (axis) => {
    const values = there.map((point) => point[axis]);
    return Math.max(...values) - Math.min(...values);
  };
  return Math.max(side(0), side(1));
}
