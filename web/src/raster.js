/**
 * Hard-edged shapes in an RGBA picture: a pixel has the colour or has not, as ControlNet's pose
 * pictures do, which a browser's canvas with its smoothed edges cannot draw.
 *
 * Pixel centres lie at whole numbers. Positions are rounded to 1/16 of a pixel and edges belong
 * to the shape, like OpenCV's.
 *
 * @typedef {{rgba: Uint8ClampedArray, width: number, height: number}} Raster
 */

const snap = (value) => Math.round(value * 16) / 16;
const nearest = (value) => Math.floor(value + 0.5);

/**
 * Fills a convex polygon.
 *
 * @param {Raster} raster
 * @param {Array<[number, number]>} corners
 * @param {[number, number, number]} color - Red, green, blue.
 */
export function fillConvex(raster, corners, color) {
  const polygon = corners.map(([x, y]) => [snap(x), snap(y)]);
  const heights = polygon.map((corner) => corner[1]);
  const top = Math.max(0, nearest(Math.min(...heights)));
  const bottom = Math.min(raster.height - 1, nearest(Math.max(...heights)));
  if (top > bottom) return;
  const spans = Array.from({ length: bottom - top + 1 }, () => [Infinity, -Infinity]);
  const cover = (x, y) => {
    const span = spans[y - top];
    if (span === undefined) return;
    span[0] = Math.min(span[0], x);
    span[1] = Math.max(span[1], x);
  };
  polygon.forEach((start, index) => {
    traceEdge(start, polygon[(index + 1) % polygon.length], { top, bottom }, cover);
  });
  spans.forEach(([from, to], row) => fillRow(raster, row + top, from, to, color));
}

/** Tells the pixels that an edge passes: one a column where it is flat, one a row where steep. */
function traceEdge([x0, y0], [x1, y1], { top, bottom }, cover) {
  if (Math.abs(x1 - x0) > Math.abs(y1 - y0)) {
    const slope = (y1 - y0) / (x1 - x0);
    const [left, right] = [Math.min(x0, x1), Math.max(x0, x1)];
    for (let x = nearest(left); x <= nearest(right); x++) {
      cover(x, nearest(y0 + slope * (Math.min(Math.max(x, left), right) - x0)));
    }
    return;
  }
  const slope = y1 === y0 ? 0 : (x1 - x0) / (y1 - y0);
  const [above, below] = [Math.min(y0, y1), Math.max(y0, y1)];
  for (let y = Math.max(top, nearest(above)); y <= Math.min(bottom, nearest(below)); y++) {
    cover(nearest(x0 + slope * (Math.min(Math.max(y, above), below) - y0)), y);
  }
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
 * @param {number} width - In pixels; rounded, and 1 at least.
 * @param {[number, number, number]} color
 */
export function strokeLine(raster, start, end, width, color) {
  const whole = Math.max(1, Math.round(width));
  if (whole === 1) {
    fillConvex(raster, [start, end], color);
    return;
  }
  const along = [end[0] - start[0], end[1] - start[1]];
  const factor = whole / 2 / Math.max(Math.hypot(...along), 1e-9);
  const side = [-along[1] * factor, along[0] * factor];
  const corners = [start, end, end, start].map(([x, y], index) => {
    const sign = index < 2 ? 1 : -1;
    return [x + sign * side[0], y + sign * side[1]];
  });
  fillConvex(raster, corners, color);
  for (const point of [start, end]) fillDot(raster, point, whole / 2, color);
}
