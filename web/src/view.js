/** What is shown of a result: the drawing, its description, and the table of persons. */

import { PARTS } from './keypoints.js';
import { drawOpenpose } from './openpose.js';
import { drawOverlay } from './overlay.js';

/**
 * @typedef {object} Shown - A picture with its persons.
 * @property {ImageBitmap} bitmap
 * @property {{width: number, height: number}} imageSize - Of the file; the bitmap may be smaller.
 * @property {string | null} source - Name of the file.
 * @property {import('./predictor.js').Person[]} persons - In pixels of the file's picture.
 *
 * @typedef {{style: 'overlay' | 'openpose', boxes: boolean, minScore: number,
 *     shorterSide: number | null}} Drawing
 */

/**
 * Draws a picture with its persons, at full size.
 *
 * @param {HTMLCanvasElement} canvas
 * @param {Shown} shown
 * @param {Drawing} drawing
 */
export function draw(canvas, { bitmap, imageSize, persons }, drawing) {
  const { minScore } = drawing;
  const context = canvas.getContext('2d');
  if (drawing.style === 'overlay') {
    resize(canvas, bitmap);
    context.fillStyle = 'white'; // behind transparent parts, as for the networks
    context.fillRect(0, 0, bitmap.width, bitmap.height);
    context.drawImage(bitmap, 0, 0);
    drawOverlay(context, persons, { imageSize, minScore, boxes: drawing.boxes });
    return;
  }
  const size = canvasSize(bitmap, drawing.shorterSide);
  resize(canvas, size);
  const rgba = drawOpenpose(persons, { imageSize, size, minScore });
  context.putImageData(new ImageData(rgba, size.width, size.height), 0, 0);
}

/** Setting the size empties a canvas: not for every frame of the camera. */
function resize(canvas, { width, height }) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}

/** Size of the OpenPose canvas for a shorter side, at the aspect ratio of the picture. */
export function canvasSize({ width, height }, shorterSide) {
  if (shorterSide === null) return { width, height };
  const ratio = shorterSide / Math.min(width, height);
  return { width: Math.round(width * ratio), height: Math.round(height * ratio) };
}

/** How many points of a part are drawn. */
export function countPoints(person, part, minScore) {
  const scores = person.scores.slice(...PARTS[part]);
  return scores.filter((score) => score >= Math.fround(minScore)).length;
}

/** The drawing in words, for who does not see it. */
export function describe({ persons }, { style, minScore }) {
  const what = style === 'overlay' ? 'The photo with' : 'A black canvas with';
  if (!persons.length) return `${what} nobody found on it`;
  const each = persons.slice(0, 5).map((person, index) => {
    const hands = ['left_hand', 'right_hand'].filter(
      (hand) => countPoints(person, hand, minScore) > 10,
    );
    const seen = [
      `${countPoints(person, 'body', minScore)} of 17 points of the body`,
      ...(countPoints(person, 'face', minScore) > 34 ? ['the face'] : []),
      ...hands.map((hand) => `the ${hand.replace('_', ' ')}`),
    ];
    return `Person ${index + 1}: ${seen.join(', ')}`;
  });
  const more = persons.length > 5 ? [`and ${persons.length - 5} more`] : [];
  return `${what} ${skeletons(persons.length)}. ${[...each, ...more].join('. ')}`;
}

const skeletons = (count) => (count === 1 ? 'one skeleton' : `${count} skeletons`);

/** Fills the table of persons. */
export function fillTable(table, { persons }, { minScore }) {
  table.hidden = !persons.length;
  const rows = persons.map((person, index) => {
    const row = document.createElement('tr');
    const heading = document.createElement('th');
    heading.scope = 'row';
    heading.textContent = index + 1;
    row.append(heading);
    const parts = Object.entries(PARTS).map(
      ([part, [start, end]]) => `${countPoints(person, part, minScore)}/${end - start}`,
    );
    for (const text of [person.boxScore.toFixed(2), ...parts]) row.insertCell().textContent = text;
    return row;
  });
  table.tBodies[0].replaceChildren(...rows);
}
