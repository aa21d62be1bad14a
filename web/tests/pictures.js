/** What the tests share: the golden numbers of the Python code, and pictures. */

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Written by tests/web/web_golden.py, which also tells what each number is. */
export const golden = JSON.parse(readFileSync(new URL('golden.json', import.meta.url), 'utf-8'));

/** The picture that web_golden.py makes from the same formula. */
export function picture(width, height) {
  const rgba = new Uint8ClampedArray(4 * width * height).fill(255);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      for (let bgr = 0; bgr < 3; bgr++) {
        const value = 37 * x + 91 * y + 53 * bgr + ((x * y * (bgr + 3)) >> 3) + ((x * x) >> 4);
        rgba[4 * (y * width + x) + 2 - bgr] = value & 255;
      }
    }
  }
  return { rgba, width, height };
}

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** The persons of a golden result. */
export function persons({ keypoints, scores, boxes, box_scores: boxScores }) {
  return keypoints.map((_, index) => ({
    keypoints: Float32Array.from(keypoints[index]),
    scores: Float32Array.from(scores[index]),
    box: Float32Array.from(boxes[index]),
    boxScore: Math.fround(boxScores[index]),
  }));
}

export const sizeOf = ([width, height]) => ({ width, height });
