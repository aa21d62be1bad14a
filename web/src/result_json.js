/** A result as `dwpose-infer --format json` writes it, to be read back by `dwpose_infer.formats`. */

/**
 * Lays a result out as plain values.
 *
 * @param {import('./predictor.js').Person[]} persons
 * @param {{imageSize: {width: number, height: number}, source: string | null}} picture
 * @returns {object}
 */
export function resultToObject(persons, { imageSize, source }) {
  return {
    schema: 'dwpose_infer.result',
    schema_version: 1,
    keypoint_order: 'coco-wholebody-133',
    source,
    image_size: { width: imageSize.width, height: imageSize.height },
    person_fields: ['box_xyxy', 'box_score'],
    persons: persons.map((person) => ({
      id: null,
      box_xyxy: Array.from(person.box, shortestDecimal),
      box_score: shortestDecimal(person.boxScore),
      keypoints: Array.from(person.scores, (_, index) => [
        shortestDecimal(person.keypoints[2 * index]),
        shortestDecimal(person.keypoints[2 * index + 1]),
      ]),
      scores: Array.from(person.scores, shortestDecimal),
    })),
  };
}

/**
 * The double with the fewest digits that still rounds to a float32.
 *
 * @param {number} value - A float32.
 * @returns {number}
 */
export function shortestDecimal(value) {
  for (let digits = 1; digits < 9; digits++) {
    const decimal = Number(value.toPrecision(digits));
    if (Math.fround(decimal) === value) return decimal;
  }
  return Number(value.toPrecision(9));
}
