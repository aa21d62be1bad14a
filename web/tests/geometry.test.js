import assert from 'node:assert/strict';
import { test } from 'node:test';

import { cropRegion, cropToPicture, regionOfBox, warpMatrix } from '../src/geometry.js';
import { letterbox, roundHalfToEven } from '../src/letterbox.js';
import { golden, picture, sha256 } from './pictures.js';

const CROP = { width: 192, height: 256 };

for (const { size_wh: size, ratio, sha256: hash } of golden.letterbox) {
  test(`letterbox of ${size.join('x')}, equal to OpenCV's byte for byte`, () => {
    const boxed = letterbox(picture(...size), { width: 416, height: 416 });
    assert.equal(boxed.ratio, ratio);
    assert.equal(sha256(boxed.bgr), hash);
  });
}

for (const expected of golden.crops) {
  test(`crop of ${expected.box}, equal to OpenCV's byte for byte`, () => {
    const region = regionOfBox(expected.box, CROP);
    assert.deepEqual(region, { center: expected.center, scale: expected.scale });
    assert.deepEqual(warpMatrix(region, CROP), expected.matrix);
    assert.equal(sha256(cropRegion(picture(240, 180), region, CROP)), expected.sha256);
    const mapped = cropToPicture(Float32Array.from(expected.points), region, CROP);
    assert.deepEqual(mapped, Float32Array.from(expected.mapped));
  });
}

test('a region outside of the picture is black', () => {
  const crop = cropRegion(picture(20, 20), { center: [500, 500], scale: [60, 80] }, CROP);
  assert.ok(crop.every((value) => value === 0));
});

test('halves are rounded to even numbers', () => {
  const values = [0.5, 1.5, 2.5, -0.5, -1.5, 2.4, 2.6, -2.6];
  assert.deepEqual(values.map((value) => roundHalfToEven(value) + 0), [0, 2, 2, 0, -2, 2, 3, -3]);
});
