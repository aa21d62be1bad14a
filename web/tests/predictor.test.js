import assert from 'node:assert/strict';
import { test } from 'node:test';

import { nms } from '../src/nms.js';
import { SearchedPicture } from '../src/predictor.js';
import { golden, picture } from './pictures.js';

const CROP = { width: 192, height: 256 };

/** A detector that gives the golden boxes, and a pose network that counts how often it is asked. */
function networks({ boxes, scores, anySize = true } = golden.detector) {
  const detector = {
    inputSize: { width: 416, height: 416 },
    anySize,
    run: async (bgr, { width, height }) => {
      assert.deepEqual([width, height], anySize ? [416, 352] : [416, 416]);
      assert.equal(bgr.length, width * height * 3);
      return { boxes_xyxy: Float32Array.from(boxes), scores: Float32Array.from(scores) };
    },
  };
  const pose = {
    inputSize: CROP,
    calls: 0,
    run: async (bgr, size) => {
      assert.deepEqual(size, CROP);
      assert.equal(bgr.length, 192 * 256 * 3);
      pose.calls += 1;
      return { keypoints: new Float32Array(266).fill(96), scores: new Float32Array(133).fill(0.5) };
    },
  };
  return { detector, pose };
}

const search = (detector) => SearchedPicture.search(picture(640, 480), detector);

for (const { boxes, scores, kept } of golden.nms) {
  test(`suppression among ${scores.length} boxes`, () => {
    assert.deepEqual(nms(Float32Array.from(boxes), Float32Array.from(scores), 0.45), kept);
  });
}

for (const { threshold, boxes, scores } of golden.detector.persons) {
  test(`persons above ${threshold}, as the Python detector finds them`, async () => {
    const { detector, pose } = networks();
    const found = await (await search(detector)).persons({ pose, scoreThreshold: threshold });
    assert.deepEqual(
      found.flatMap((person) => [...person.box]),
      [...Float32Array.from(boxes)],
    );
    assert.deepEqual(
      found.map((person) => person.boxScore),
      [...Float32Array.from(scores)],
    );
  });
}

test('a detector of one input size gets the whole square', async () => {
  const { detector, pose } = networks({ ...golden.detector, anySize: false });
  const found = await (await search(detector)).persons({ pose, scoreThreshold: 0.6 });
  assert.equal(found.length, golden.detector.persons[1].scores.length);
});

test('points are mapped to the picture', async () => {
  const { detector, pose } = networks({ boxes: [26, 52, 104, 208], scores: [0.9] });
  const [person] = await (await search(detector)).persons({ pose, scoreThreshold: 0.4 });
  // The box is 120 x 240 in the picture, its region 1.25 times as high: 225 x 300 around (100, 200).
  assert.deepEqual([...person.box], [40, 80, 160, 320]);
  assert.deepEqual([...person.keypoints.subarray(0, 2)], [100, 162.5]);
});

test('who was looked at is not computed again, except by another network', async () => {
  const { detector, pose } = networks();
  const searched = await search(detector);
  const few = await searched.persons({ pose, scoreThreshold: 0.6 });
  assert.equal(pose.calls, few.length);
  const more = await searched.persons({ pose, scoreThreshold: 0.25 });
  assert.ok(more.length > few.length);
  assert.equal(pose.calls, new Set([...few, ...more]).size);
  searched.forgetPoses();
  await searched.persons({ pose, scoreThreshold: 0.6 });
  assert.equal(pose.calls, new Set([...few, ...more]).size + few.length);
});

test('nobody, and then the whole picture', async () => {
  const { detector, pose } = networks({ boxes: [0, 0, 9, 9], scores: [0.2] });
  const searched = await search(detector);
  assert.deepEqual(await searched.persons({ pose, scoreThreshold: 0.4 }), []);
  assert.equal(searched.bestScore, Math.fround(0.2));
  const [whole] = await searched.persons({ pose, scoreThreshold: 0.4, wholePicture: true });
  assert.deepEqual([...whole.box, whole.boxScore], [0, 0, 640, 480, 0]);
});

test('values that are not numbers are an error', async () => {
  const { detector, pose } = networks();
  pose.run = async () => ({
    keypoints: new Float32Array(266),
    scores: new Float32Array(133).fill(NaN),
  });
  const searched = await search(detector);
  await assert.rejects(searched.persons({ pose, scoreThreshold: 0.6 }), /not numbers/);
});

test('progress tells every person', async () => {
  const { detector, pose } = networks();
  const told = [];
  const onPerson = (done, all) => told.push([done, all]);
  const found = await (await search(detector)).persons({ pose, scoreThreshold: 0.6, onPerson });
  assert.deepEqual(
    told,
    found.map((_, index) => [index, found.length]),
  );
});
