/** Non-maximum suppression as `dwpose_infer.nms` computes it. */

const f32 = Math.fround;

/**
 * Keeps the best box of every group of overlapping ones.
 *
 * Widths and heights count one pixel more than the difference of the coordinates, as YOLOX's do.
 *
 * @param {Float32Array} boxes - (N, 4) left, top, right, bottom in pixels.
 * @param {Float32Array} scores - (N,)
 * @param {number} iouThreshold - A box is dropped when its IoU with a better one is above this.
 * @returns {number[]} Indices of the kept boxes, best score first.
 */
export function nms(boxes, scores, iouThreshold) {
  let order = Array.from(scores.keys()).sort((a, b) => scores[b] - scores[a] || b - a);
  const areas = Float32Array.from(scores, (_, index) => area(boxes, index));
  const kept = [];
  while (order.length) {
    const [best, ...rest] = order;
    kept.push(best);
    order = rest.filter((other) => {
      const shared = overlap(boxes, best, other);
      const union = f32(f32(areas[best] + areas[other]) - shared);
      return f32(shared / union) <= f32(iouThreshold);
    });
  }
  return kept;
}

function area(boxes, index) {
  const [left, top, right, bottom] = boxes.subarray(4 * index, 4 * index + 4);
  return f32(f32(f32(right - left) + 1) * f32(f32(bottom - top) + 1));
}

function overlap(boxes, a, b) {
  const along = (low, high) => {
    const end = Math.min(boxes[4 * a + high], boxes[4 * b + high]);
    const start = Math.max(boxes[4 * a + low], boxes[4 * b + low]);
    return Math.max(f32(f32(end - start) + 1), 0);
  };
  return f32(along(0, 2) * along(1, 3));
}
