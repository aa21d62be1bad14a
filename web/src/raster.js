/**
 * Hard-edged shapes in an RGBA picture: a pixel has the colour or has not, as ControlNet's pose
 * pictures do, which a browser's canvas with its smoothed edges cannot draw.
 *
 * Pixel centres lie at whole numbers. Positions are rounded to 1/16 of a pixel and edges belong
 * to the shape, like OpenCV's.
 *
 * @typedef {{rgba: Uint8ClampedArray, width: number, height: number}} Raster
 */

import { roundHalfToEven } from './letterbox.js';

const snap = (value) => roundHalfToEven(value * 16) / 16;
const nearest = (value) => Math.floor(value + 0.5);

/**
 * Fills a convex polygon: between its edges with the heights of its corners rounded, and where
 * its edges pass.
 *
 * @param {Raster} raster
 * @param {Array<[number, number]>} corners
 * @param {[number, number, number]} color - Red, green, blue.
 */
export function fillConvex(raster, corners, color) {
  const polygon = corners.map(([x, y]) => [snap(x), snap(y)]);
  const heights = polygon.map((corner) => nearest(corner[1]));
  const top = Math.max(0, Math.min(...heights));
  const bottom = Math.min(raster.height - 1, Math.max(...heights));
  if (top > bottom) return;
  const spans = Array.from({ length: bottom - top + 1 }, () => [Infinity, -Infinity]);
  const cover = (x, y) => {
    const span = spans[y - top];
    if (span === undefined) return;
    span[0] = Math.min(span[0], x);
    span[1] = Math.max(span[1], x);
  };
  polygon.forEach((start, index) => {
    const end = polygon[(index + 1) % polygon.length];
    if (polygon.length > 2) boundRows(start, end, { top, bottom }, cover);
    traceEdge(start, end, cover);
  });
  spans.forEach(([from, to], row) => fillRow(raster, row + top, from, to, color));
}

/** Tells where an edge bounds the rows that it crosses, its last one left to the next edge. */
function boundRows(start, end, { top, bottom }, cover) {
  const [upper, lower] = start[1] <= end[1] ? [start, end] : [end, start];
  const [from, to] = [nearest(upper[1]), nearest(lower[1])];
  const slope = (lower[0] - upper[0]) / (to - from || 1);
  for (let y = Math.max(top, from); y < to && y <= bottom; y++) {
    cover(nearest(upper[0] + slope * (y - from)), y);
  }
}

/** Tells the pixels that an edge passes: one a column where it is flat, one a row where steep. */
function traceEdge(start, end, cover) {
  const flat = Math.abs(end[0] - start[0]) > Math.abs(end[1] - start[1]);
  const [along, across] = flat ? [0, 1] : [1, 0];
  const [low, high] = start[along] <= end[along] ? [start, end] : [end, start];
  const slope = (high[across] - low[across]) / (high[along] - low[along] || 1);
  const first = nearest(low[along]);
  for (let step = 0; step <= Math.floor(high[along] - low[along]); step++) {
    const side = nearest(low[across] + slope * step);
    if (flat) cover(first + step, side);
    else cover(side, first + step);
  }
  cover(nearest(high[0]), nearest(high[1]));
}

function fillRow({ rgba, width }, y, from, to, [red, green, blue]) {
  for (let x = Math.max(0, from); x <= Math.min(width - 1, to); x++) {
    const at = 4 * (y * width + x);
    rgba[at] = red;
    rgba[at + 1] = green;
    rgba[at + 2] = blue;
  }
}

/**
 * Fills a circle.
 *
 * @param {Raster} raster
 * @param {[number, number]} center
 * @param {number} radius - In pixels.
 * @param {[number, number, number]} color
 */
export function fillDot(raster, [x, y], radius, color) {
  fillConvex(raster, ellipse([x, y], [radius, 0], [0, radius], 24), color);
}

/**
 * Fills a long ellipse between two points.
 *
 * @param {Raster} raster
 * @param {[number, number]} start
 * @param {[number, number]} end
 * @param {number} halfWidth - In pixels, at the thickest place.
 * @param {[number, number, number]} color
 */
export function fillLimb(raster, start, end, halfWidth, color) {
  const along = [0.5 * (end[0] - start[0]), 0.5 * (end[1] - start[1])];
  const factor = halfWidth / Math.max(Math.hypot(...along), 1e-9);
  const middle = [0.5 * (start[0] + end[0]), 0.5 * (start[1] + end[1])];
  fillConvex(raster, ellipse(middle, along, [-along[1] * factor, along[0] * factor], 72), color);
}

function ellipse([x, y], along, across, corners) {
  return Array.from({ length: corners }, (_, index) => {
    const angle = (index * 2 * Math.PI) / corners;
    const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
    return [x + along[0] * cos + across[0] * sin, y + along[1] * cos + across[1] * sin];
  });
}

/**
 * Draws a line of even width with round ends.
 *
 * @param {Raster} raster
 * @param {[number, number]} start
 * @param {[number, number]} end
 * @param {number} width - In pixels; rounded, and 1 at least. The edges come on top of it.
 * @param {[number, number, number]} color
 */
export function strokeLine(raster, start, end, width, color) {
  const whole = Math.max(1, roundHalfToEven(width));
  if (whole === 1) {
    strokeThin(raster, start, end, color);
    return;
  }
  [start, end] = [start, end].map((point) => point.map(snap));
  const half = Math.ceil(whole / 2);
  const along = [end[0] - start[0], end[1] - start[1]];
  const factor = half / Math.max(Math.hypot(...along), 1e-9);
  const side = [-along[1] * factor, along[0] * factor];
  const corners = [start, end, end, start].map(([x, y], index) => {
    const sign = index < 2 ? 1 : -1;
    return [x + sign * side[0], y + sign * side[1]];
  });
  fillConvex(raster, corners, color);
  for (const point of [start, end]) fillRoundDot(raster, point, half, color);
}

/** A line one pixel wide between whole pixels; halves go towards its left end. */
function strokeThin(raster, start, end, color) {
  const whole = [start, end].map((point) => point.map((value) => nearest(snap(value))));
  const [left, right] = whole[0][0] <= whole[1][0] ? whole : [whole[1], whole[0]];
  const [dx, dy] = [right[0] - left[0], right[1] - left[1]];
  const steps = Math.max(dx, Math.abs(dy));
  for (let step = 0; step <= steps; step++) {
    const way = (distance) => {
      return Math.sign(distance) * Math.ceil((Math.abs(distance) * step) / (steps || 1) - 0.5);
    };
    const [x, y] = [left[0] + way(dx), left[1] + way(dy)];
    if (y >= 0 && y < raster.height) fillRow(raster, y, x, x, color);
  }
}

/** A circle around the nearest pixel, of a whole radius. */
function fillRoundDot(raster, center, radius, color) {
  const [x, y] = center.map((value) => nearest(snap(value)));
  for (let row = Math.max(-radius, -y); row <= radius && y + row < raster.height; row++) {
    const half = Math.floor(Math.sqrt(radius * radius - row * row));
    fillRow(raster, y + row, x - half, x + half, color);
  }
}
