/** The OpenPose canvas: skeletons on black for ControlNet, as `dwpose_infer.drawing` draws them. */

import {
  HAND_LINKS,
  OPENPOSE_18,
  OPENPOSE_LIMBS,
  PARTS,
  extent,
  visiblePoints,
} from './keypoints.js';
import { roundHalfToEven } from './letterbox.js';
import { fillDot, fillLimb, strokeLine } from './raster.js';

const LIMB_BRIGHTNESS = 0.6;
const JOINT_COLORS = rainbow(OPENPOSE_18.length);
const LIMB_COLORS = JOINT_COLORS.map((color) =>
  color.map((value) => roundHalfToEven(value * LIMB_BRIGHTNESS)),
);
const FINGER_COLORS = rainbow(HAND_LINKS.length);
const HAND_JOINT_COLOR = [0, 0, 255];
const FACE_COLOR = [255, 255, 255];

// Sizes in pixels where the shorter side of the canvas is 512; none falls below 1.
const SIZES_AT_512 = { limbHalfWidth: 4, joint: 4, handLine: 2, handJoint: 4, face: 3 };

// Strokes take at most these shares of the hand or face they belong to.
const MAX_HAND_SHARE = 1 / 25;
const MAX_FACE_SHARE = 1 / 80;
const MIN_DOT_PX = 0.25;

/** Pure hues, evenly spaced and starting with red: rounded as Python does, halves to even. */
function rainbow(count) {
  return Array.from({ length: count }, (_, index) => {
    const sixth = (index / count) * 6;
    const share = sixth - Math.trunc(sixth);
    const [falling, rising] = [1 - share, 1 - (1 - share)];
    const color = [
      [1, rising, 0],
      [falling, 1, 0],
      [0, 1, rising],
      [0, falling, 1],
      [rising, 0, 1],
      [1, 0, falling],
    ][Math.trunc(sixth)];
    return color.map((value) => roundHalfToEven(255 * value));
  });
}

/**
 * Draws the canvas.
 *
 * @param {import('./predictor.js').Person[]} persons
 * @param {object} options
 * @param {{width: number, height: number}} options.imageSize - Of the picture of the points.
 * @param {{width: number, height: number}} options.size - Of the canvas.
 * @param {number} options.minScore - Points of a lower score are not drawn.
 * @returns {Uint8ClampedArray} (height, width, 4) RGBA, opaque.
 */
export function drawOpenpose(persons, { imageSize, size, minScore }) {
  const raster = { rgba: new Uint8ClampedArray(4 * size.width * size.height), ...size };
  for (let alpha = 3; alpha < raster.rgba.length; alpha += 4) raster.rgba[alpha] = 255;
  const factor = Math.min(size.width, size.height) / 512;
  const sizes = Object.fromEntries(
    Object.entries(SIZES_AT_512).map(([name, value]) => [name, Math.max(1, factor * value)]),
  );
  const scaleX = size.width / imageSize.width;
  const scaleY = size.height / imageSize.height;
  const all = persons.map((person) => visiblePoints(person, { minScore, scaleX, scaleY }));
  drawBodies(raster, all.map(openposeBody), sizes);
  for (const points of all) {
    for (const hand of ['left_hand', 'right_hand']) {
      drawHand(raster, points.slice(...PARTS[hand]), sizes);
    }
  }
  for (const points of all) drawFace(raster, points.slice(...PARTS.face), sizes);
  return raster.rgba;
}

/** OpenPose's 18 points; the neck shows when both shoulders do. */
function openposeBody(points) {
  const [left, right] = [points[5], points[6]];
  const neck = left && right ? [0.5 * (left[0] + right[0]), 0.5 * (left[1] + right[1])] : null;
  return OPENPOSE_18.map((index) => (index === null ? neck : points[index]));
}

/** All limbs first, then all joints: no limb hides the joint of another person. */
function drawBodies(raster, bodies, sizes) {
  for (const body of bodies) {
    OPENPOSE_LIMBS.forEach(([from, to], index) => {
      if (!body[from] || !body[to]) return;
      fillLimb(raster, body[from], body[to], sizes.limbHalfWidth, LIMB_COLORS[index]);
    });
  }
  for (const body of bodies) {
    body.forEach((point, index) => {
      if (point) fillDot(raster, point, sizes.joint, JOINT_COLORS[index]);
    });
  }
}

function drawHand(raster, hand, sizes) {
  const most = MAX_HAND_SHARE * extent(hand);
  const width = Math.min(sizes.handLine, most);
  const radius = Math.min(sizes.handJoint, Math.max(MIN_DOT_PX, most));
  HAND_LINKS.forEach(([from, to], index) => {
    if (hand[from] && hand[to]) {
      strokeLine(raster, hand[from], hand[to], width, FINGER_COLORS[index]);
    }
  });
  for (const point of hand) if (point) fillDot(raster, point, radius, HAND_JOINT_COLOR);
}

function drawFace(raster, face, sizes) {
  const radius = Math.min(sizes.face, Math.max(MIN_DOT_PX, MAX_FACE_SHARE * extent(face)));
  for (const point of face) if (point) fillDot(raster, point, radius, FACE_COLOR);
}
