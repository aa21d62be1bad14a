/**
 * One picture from pixels to everybody's points.
 *
 * @typedef {{width: number, height: number}} Size
 * @typedef {{inputSize: Size, anySize: boolean, run: (bgr: Uint8Array, size: Size) =>
 *     Promise<Record<string, Float32Array>>}} Network - A graph in deploy form: takes one picture,
 *     (height, width, 3) BGR, of its input size or, where it takes any, of a smaller one, and
 *     gives its outputs by name.
 * @typedef {{rgba: Uint8Array|Uint8ClampedArray, width: number, height: number}} Picture
 * @typedef {{box: Float32Array, boxScore: number, keypoints: Float32Array, scores: Float32Array}}
 *     Person - Box left, top, right, bottom; keypoints (133, 2) x then y; all in pixels of the
 *     picture.
 */

import { cropRegion, cropToPicture, regionOfBox } from './geometry.js';
import { fittingSize, letterbox } from './letterbox.js';
import { nms } from './nms.js';

/** Of two boxes whose IoU is above this, the better one stays. */
const NMS_THRESHOLD = 0.45;

/** The sides of the detector's input are multiples of it. */
const COARSEST_STRIDE = 32;

/**
 * A picture that was searched for persons once, and gives the points of those above any
 * threshold: whoever was looked at before is not computed again.
 */
export class SearchedPicture {
  /**
   * Searches a picture.
   *
   * @param {Picture} picture
   * @param {Network} detector - Gives `boxes_xyxy`, (N, 4) in pixels of its input, and `scores`.
   * @returns {Promise<SearchedPicture>}
   */
  static async search(picture, detector) {
    const whole = detector.inputSize;
    const size = detector.anySize ? fittingSize(picture, whole, COARSEST_STRIDE) : whole;
    const { bgr, ratio } = letterbox(picture, size);
    const found = await detector.run(bgr, size);
    const boxes = found.boxes_xyxy.map((value) => value / Math.fround(ratio));
    return new SearchedPicture(picture, boxes, found.scores);
  }

  constructor(picture, boxes, scores) {
    this.picture = picture;
    this.boxes = boxes;
    this.scores = scores;
    this.known = new Map();
  }

  /** Score of the surest candidate, above the threshold or not. */
  get bestScore() {
    return this.scores.reduce((best, score) => Math.max(best, score), 0);
  }

  /** Forgets all points: another pose network will be asked. */
  forgetPoses() {
    this.known.clear();
  }

  /**
   * Finds the points of everybody.
   *
   * @param {object} options
   * @param {Network} options.pose - Gives `keypoints`, (133, 2) in pixels of the crop, and `scores`.
   * @param {number} options.scoreThreshold - Persons must score above this.
   * @param {boolean} [options.wholePicture] - Take the whole picture for one person where nobody
   *     is found; its box then has score 0.
   * @param {(done: number, all: number) => void} [options.onPerson]
   * @returns {Promise<Person[]>} Best score first.
   */
  async persons({ pose, scoreThreshold, wholePicture = false, onPerson = () => {} }) {
    const chosen = this.choose(scoreThreshold);
    if (!chosen.length && wholePicture) chosen.push(-1);
    const persons = [];
    for (const index of chosen) {
      onPerson(persons.length, chosen.length);
      if (!this.known.has(index)) this.known.set(index, await this.person(index, pose));
      persons.push(this.known.get(index));
    }
    return persons;
  }

  /** Indices of the candidates above a threshold, overlapping ones suppressed. */
  choose(scoreThreshold) {
    const threshold = Math.fround(scoreThreshold);
    const above = Array.from(this.scores.keys()).filter((index) => this.scores[index] > threshold);
    const boxes = Float32Array.from(above.flatMap((index) => Array.from(this.box(index))));
    const scores = Float32Array.from(above, (index) => this.scores[index]);
    return nms(boxes, scores, NMS_THRESHOLD).map((kept) => above[kept]);
  }

  /** Box of a candidate; of the whole picture for -1. */
  box(index) {
    if (index < 0) return Float32Array.of(0, 0, this.picture.width, this.picture.height);
    return this.boxes.slice(4 * index, 4 * index + 4);
  }

  async person(index, pose) {
    const box = this.box(index);
    const region = regionOfBox(box, pose.inputSize);
    const crop = cropRegion(this.picture, region, pose.inputSize);
    const found = await pose.run(crop, pose.inputSize);
    if (!found.scores.every(Number.isFinite)) {
      throw new Error('The pose network gave values that are not numbers.');
    }
    return {
      box,
      boxScore: index < 0 ? 0 : this.scores[index],
      keypoints: cropToPicture(found.keypoints, region, pose.inputSize),
      scores: found.scores,
    };
  }
}
