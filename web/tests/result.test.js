import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inflateSync } from 'node:zlib';

import * as keypoints from '../src/keypoints.js';
import { drawOpenpose } from '../src/openpose.js';
import { shrunkSize } from '../src/picture.js';
import { resultToObject, shortestDecimal } from '../src/result_json.js';
import { canvasSize, countPoints } from '../src/view.js';
import { golden, persons, sizeOf } from './pictures.js';

test('the JSON is what dwpose-infer writes', () => {
  const { document } = golden.result;
  const picture = { imageSize: sizeOf(golden.result.image_size), source: document.source };
  const text = JSON.stringify(resultToObject(persons(golden.result), picture));
  assert.deepEqual(JSON.parse(text), document);
  assert.deepEqual(Object.keys(JSON.parse(text)), Object.keys(document));
});

test('decimals are the shortest that round back', () => {
  for (const [single, decimal] of golden.decimals) assert.equal(shortestDecimal(single), decimal);
});

test('keypoints are those of the Python package', () => {
  const { parts, links, openpose_18: openpose18 } = golden.keypoints;
  assert.deepEqual(keypoints.PARTS, parts);
  const hands = ['left_hand', 'right_hand'].flatMap((hand) =>
    keypoints.HAND_LINKS.map((link) => link.map((index) => index + parts[hand][0])),
  );
  assert.deepEqual([...keypoints.BODY_LINKS, ...keypoints.FEET_LINKS, ...hands], links);
  assert.deepEqual(keypoints.OPENPOSE_18, openpose18);
});

for (const expected of golden.openpose) {
  test(`OpenPose canvas of ${expected.size_wh.join('x')}, OpenCV's but for single pixels`, () => {
    const size = sizeOf(expected.size_wh);
    const rgba = drawOpenpose(persons(expected), {
      imageSize: sizeOf(expected.image_size),
      size,
      minScore: expected.min_score,
    });
    const rgb = inflateSync(Buffer.from(expected.rgb_zlib_base64, 'base64'));
    let [drawn, other] = [0, 0];
    for (let pixel = 0; pixel < size.width * size.height; pixel++) {
      const differs = [0, 1, 2].some((at) => rgba[4 * pixel + at] !== rgb[3 * pixel + at]);
      drawn += [0, 1, 2].some((at) => rgb[3 * pixel + at] > 0);
      other += differs;
      assert.equal(rgba[4 * pixel + 3], 255);
    }
    assert.ok(other < 0.005 * drawn, `${other} pixels differ of ${drawn} drawn`);
  });
}

test('sizes of canvases', () => {
  assert.deepEqual(canvasSize({ width: 640, height: 480 }, null), { width: 640, height: 480 });
  assert.deepEqual(canvasSize({ width: 640, height: 480 }, 512), { width: 683, height: 512 });
});

test('pictures are shrunk to the limit, and not below it', () => {
  assert.equal(shrunkSize({ width: 5000, height: 10_000 }, 50_000_000), null);
  assert.deepEqual(shrunkSize({ width: 20_000, height: 10_000 }, 50_000_000), {
    width: 10_000,
    height: 5000,
  });
  assert.deepEqual(shrunkSize({ width: 9_000_000, height: 10 }, 1_000_000).height, 8);
});

test('points of a part are counted by score', () => {
  const [person] = persons(golden.result);
  const scores = golden.result.scores[0].slice(0, 17);
  assert.equal(countPoints(person, 'body', 0.5), scores.filter((score) => score >= 0.5).length);
});
