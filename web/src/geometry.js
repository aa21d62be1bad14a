/**
 * From a person's box to the network's crop and back: the arithmetic of `dwpose_infer.geometry`,
 * in its order and precision. Numbers that are float32 there are rounded to it here.
 */

import { roundHalfToEven } from './letterbox.js';

/** Context around a box, as a factor of its sides. */
export const BOX_PADDING = 1.25;

const f32 = Math.fround;

/**
 * The region that a box is cropped from: padded, and widened to the network's aspect ratio.
 *
 * @param {ArrayLike<number>} box - Left, top, right, bottom in pixels of the picture.
 * @param {{width: number, height: number}} inputSize - Of the network, in pixels.
 * @returns {{center: number[], scale: number[]}} Centre x, y, and width, height of the region, in
 *     pixels of the picture, float32.
 */
export function regionOfBox(box, inputSize) {
  const [left, top, right, bottom] = Array.from(box, f32);
  const center = [f32(f32(left + right) * 0.5), f32(f32(top + bottom) * 0.5)];
  const width = f32(f32(right - left) * BOX_PADDING);
  const height = f32(f32(bottom - top) * BOX_PADDING);
  const aspect = f32(inputSize.width / inputSize.height);
  const wide = width > f32(height * aspect);
  const scale = wide ? [width, f32(width / aspect)] : [f32(height * aspect), height];
  return { center, scale };
}

/**
 * The affine map from the picture to a crop, as two rows of three.
 *
 * It is found from three points, kept in float32 like the reference: the centre, the middle of
 * the left edge, and the point at a right angle to both.
 *
 * @param {{center: number[], scale: number[]}} region
 * @param {{width: number, height: number}} size - Of the crop.
 * @returns {number[][]}
 */
export function warpMatrix(region, size) {
  const source = rightAngle(region.center, region.scale[0] * -0.5);
  const target = rightAngle([size.width * 0.5, size.height * 0.5], size.width * -0.5);
  const equations = source.map(([x, y], index) => [x, y, 1, target[index][0], target[index][1]]);
  const rows = solve(equations);
  return [rows.map((row) => row[0]), rows.map((row) => row[1])];
}

function rightAngle([x, y], step) {
  const edge = [f32(x + step), f32(y)];
  const back = [f32(x - edge[0]), f32(y - edge[1])];
  return [[f32(x), f32(y)], edge, [f32(edge[0] - back[1]), f32(edge[1] + back[0])]];
}

/** Solves three equations for two right-hand sides by elimination with the largest pivot. */
function solve(equations) {
  const rows = equations.map((row) => row.slice());
  for (let pivot = 0; pivot < 3; pivot++) {
    let best = pivot;
    for (let row = pivot + 1; row < 3; row++) {
      if (Math.abs(rows[row][pivot]) > Math.abs(rows[best][pivot])) best = row;
    }
    [rows[pivot], rows[best]] = [rows[best], rows[pivot]];
    const inverse = -1 / rows[pivot][pivot];
    for (let row = pivot + 1; row < 3; row++) {
      const factor = rows[row][pivot] * inverse;
      for (let column = pivot + 1; column < 5; column++) {
        rows[row][column] += factor * rows[pivot][column];
      }
    }
  }
  const solution = [[], [], []];
  for (let row = 2; row >= 0; row--) {
    for (const side of [0, 1]) {
      let value = rows[row][3 + side];
      for (let column = row + 1; column < 3; column++) {
        value -= rows[row][column] * solution[column][side];
      }
      solution[row][side] = value / rows[row][row];
    }
  }
  return solution;
}

/**
 * Cuts a region out of a picture, black outside of it: OpenCV's `warpAffine` on bytes, whose
 * positions have 5 binary places.
 *
 * @param {{rgba: Uint8Array|Uint8ClampedArray, width: number, height: number}} picture
 * @param {{center: number[], scale: number[]}} region
 * @param {{width: number, height: number}} size - Of the crop.
 * @returns {Uint8Array} (height, width, 3) BGR.
 */
export function cropRegion(picture, region, size) {
  const inverse = invert(warpMatrix(region, size));
  const bgr = new Uint8Array(size.width * size.height * 3);
  const stepX = new Float64Array(size.width);
  const stepY = new Float64Array(size.width);
  for (let x = 0; x < size.width; x++) {
    stepX[x] = roundHalfToEven(inverse[0][0] * x * 1024);
    stepY[x] = roundHalfToEven(inverse[1][0] * x * 1024);
  }
  let at = 0;
  for (let y = 0; y < size.height; y++) {
    const startX = roundHalfToEven((inverse[0][1] * y + inverse[0][2]) * 1024) + 16;
    const startY = roundHalfToEven((inverse[1][1] * y + inverse[1][2]) * 1024) + 16;
    for (let x = 0; x < size.width; x++) {
      const [fixedX, fixedY] = [(startX + stepX[x]) >> 5, (startY + stepY[x]) >> 5];
      sample(bgr, at, picture, fixedX, fixedY);
      at += 3;
    }
  }
  return bgr;
}

/** Bilinear value at a position in 1/32 pixels. */
function sample(bgr, at, { rgba, width, height }, fixedX, fixedY) {
  const [left, top] = [fixedX >> 5, fixedY >> 5];
  if (left < -1 || top < -1 || left >= width || top >= height) return;
  const [shareX, shareY] = [fixedX & 31, fixedY & 31];
  let [blue, green, red] = [512, 512, 512]; // half of the weights' sum, for rounding
  for (let corner = 0; corner < 4; corner++) {
    const [right, below] = [corner & 1, corner >> 1];
    const [x, y] = [left + right, top + below];
    if (x < 0 || y < 0 || x >= width || y >= height) continue;
    const weight = (right ? shareX : 32 - shareX) * (below ? shareY : 32 - shareY);
    const from = 4 * (y * width + x);
    red += weight * rgba[from];
    green += weight * rgba[from + 1];
    blue += weight * rgba[from + 2];
  }
  bgr[at] = blue >> 10;
  bgr[at + 1] = green >> 10;
  bgr[at + 2] = red >> 10;
}

function invert([[a, b, c], [d, e, f]]) {
  const determinant = a * e - b * d;
  const factor = determinant === 0 ? 0 : 1 / determinant;
  const [ia, ib, id, ie] = [e * factor, b * -factor, d * -factor, a * factor];
  return [
    [ia, ib, -ia * c - ib * f],
    [id, ie, -id * c - ie * f],
  ];
}

/**
 * Maps keypoints of a crop back to the picture.
 *
 * @param {Float32Array} keypoints - (K, 2) x then y, pixels of the crop.
 * @param {{center: number[], scale: number[]}} region
 * @param {{width: number, height: number}} size - Of the crop.
 * @returns {Float32Array} (K, 2) x then y, pixels of the picture.
 */
export function cropToPicture(keypoints, { center, scale }, size) {
  const mapped = new Float32Array(keypoints.length);
  const sides = [size.width, size.height];
  for (let index = 0; index < keypoints.length; index++) {
    const axis = index % 2;
    const share = f32(f32(keypoints[index] / sides[axis]) * scale[axis]);
    mapped[index] = f32(f32(share + center[axis]) - f32(0.5 * scale[axis]));
  }
  return mapped;
}
