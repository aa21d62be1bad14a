import assert from 'node:assert/strict';
import { test } from 'node:test';

import { cropRegion, cropToPicture, regionOfBox, warpMatrix } from '../src/geometry.js';
import { fittingSize, letterbox, roundHalfToEven } from '../src/letterbox.js';
import { golden, picture, sha256, sizeOf } from './pictures.js';

const CROP = { width: 192, height: 256 };

for (const expected of golden.letterbox) {
  const [width, height] = expected.size_wh;
  test(`letterbox of ${width}x${height}, equal to OpenCV's byte for byte`, () => {
    const whole = { width: 416, height: 416 };
    const boxed = letterbox(picture(width, height), whole);
    assert.equal(boxed.ratio, expected.ratio);
    assert.equal(sha256(boxed.bgr), expected.sha256);
    const cut = fittingSize({ width, height }, whole, 32);
    assert.deepEqual(cut, sizeOf(expected.cut_wh));
    assert.equal(sha256(letterbox(picture(width, height), cut).bgr), expected.cut_sha256);
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
  assert.deepEqual(
    values.map((value) => roundHalfToEven(value) + 0),
    [0, 2, 2, 0, -2, 2, 3, -3],
  );
});
