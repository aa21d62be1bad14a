/** Skeletons over a picture, in the colours and widths of `dwpose_infer.drawing.overlay`. */

import {
  BODY_LINKS,
  FEET_LINKS,
  HAND_LINKS,
  NUM_KEYPOINTS,
  PARTS,
  extent,
  visiblePoints,
} from './keypoints.js';

// The person's own left is green, the right orange, and what joins the two is blue.
const LEFT = 'rgb(60 205 90)';
const RIGHT = 'rgb(255 140 20)';
const MIDDLE = 'rgb(60 165 255)';
const FACE = 'rgb(250 250 250)';
const FINGERS = [
  'rgb(255 90 60)',
  'rgb(255 200 40)',
  'rgb(80 220 110)',
  'rgb(50 180 255)',
  'rgb(200 90 255)',
];
const BOX = 'rgb(110 110 110)';

const POINT_COLORS = Array.from({ length: NUM_KEYPOINTS }, (_, index) => pointColor(index));

/** Colour of a keypoint: that of its finger, the face, or its side. */
function pointColor(index) {
  for (const [side, hand] of [
    [LEFT, PARTS.left_hand],
    [RIGHT, PARTS.right_hand],
  ]) {
    if (index === hand[0]) return side;
    if (index > hand[0] && index < hand[1]) return FINGERS[Math.trunc((index - hand[0] - 1) / 4)];
  }
  if (index >= PARTS.face[0]) return FACE;
  if (index === 0) return MIDDLE;
  if (index >= PARTS.feet[0]) return index < 20 ? LEFT : RIGHT;
  return index % 2 === 1 ? LEFT : RIGHT; // the body alternates: left eye, right eye, left ear, …
}

/** Colour of a bone: that of its outer end, unless it joins the two sides. */
function linkColor([start, end]) {
  const sides = [POINT_COLORS[start], POINT_COLORS[end]];
  return sides.includes(LEFT) && sides.includes(RIGHT) ? MIDDLE : POINT_COLORS[end];
}

const handLinks = ([root]) => HAND_LINKS.map(([start, end]) => [root + start, root + end]);

// Keypoints drawn alike: their bones, and widths and radii as shares of the person's extent, or
// of their own where that is less: hands and faces seen from the side would be blobs.
const GROUPS = [
  {
    span: [5, 17],
    links: BODY_LINKS.filter((link) => Math.min(...link) >= 5),
    width: 1 / 140,
    radius: 1 / 130,
  },
  {
    span: [0, 5],
    links: BODY_LINKS.filter((link) => Math.min(...link) < 5),
    width: 1 / 250,
    radius: 1 / 220,
  },
  { span: PARTS.feet, links: FEET_LINKS, width: 1 / 250, radius: 1 / 220 },
  { span: PARTS.face, links: [], width: 0, radius: 1 / 400, ownShare: 1 / 80 },
  {
    span: PARTS.left_hand,
    links: handLinks(PARTS.left_hand),
    width: 1 / 250,
    radius: 1 / 300,
    ownShare: 1 / 25,
  },
  {
    span: PARTS.right_hand,
    links: handLinks(PARTS.right_hand),
    width: 1 / 250,
    radius: 1 / 300,
    ownShare: 1 / 25,
  },
];
const MIN_DOT_PX = 0.25;

// OpenCV lays a smoothed edge around what it draws, and rounds widths up to even ones: measured.
const DOT_EDGE_PX = 0.62;
const strokedWidth = (width) => (width === 1 ? 1.4 : 2 * Math.ceil(width / 2) + 1.4);

/**
 * Draws everybody over what is on a canvas; persons of a better score lie on top.
 *
 * @param {CanvasRenderingContext2D} context
 * @param {import('./predictor.js').Person[]} persons
 * @param {object} options
 * @param {{width: number, height: number}} options.imageSize - Of the picture of the points.
 * @param {number} options.minScore - Points of a lower score are not drawn.
 * @param {boolean} [options.boxes] - Whether to draw boxes and their scores.
 */
export function drawOverlay(context, persons, { imageSize, minScore, boxes = false }) {
  const { width, height } = context.canvas;
  const scaleX = width / imageSize.width;
  const scaleY = height / imageSize.height;
  context.save();
  context.translate(0.5, 0.5); // the centre of the first pixel is 0, 0
  context.lineCap = 'round';
  for (const person of [...persons].reverse()) {
    const points = visiblePoints(person, { minScore, scaleX, scaleY });
    // Inside the picture: a stray point far outside must not make the lines fat.
    const inside = points.map(
      (point) => point && [clamp(point[0], 0, width), clamp(point[1], 0, height)],
    );
    drawPerson(context, points, extent(inside));
  }
  if (boxes) {
    for (const person of persons) drawBox(context, person, { scaleX, scaleY });
  }
  context.restore();
}

const clamp = (value, least, most) => Math.min(most, Math.max(least, value));

function drawPerson(context, points, personPx) {
  for (const { span, links, width, radius, ownShare = Infinity } of GROUPS) {
    const own = points.slice(...span);
    const limit = ownShare === Infinity ? Infinity : ownShare * extent(own);
    context.lineWidth = strokedWidth(Math.max(1, Math.round(Math.min(width * personPx, limit))));
    for (const link of links) {
      const [start, end] = [points[link[0]], points[link[1]]];
      if (!start || !end) continue;
      context.strokeStyle = linkColor(link);
      context.beginPath();
      context.moveTo(...start);
      context.lineTo(...end);
      context.stroke();
    }
    const dot = Math.max(MIN_DOT_PX, Math.min(radius * personPx, limit)) + DOT_EDGE_PX;
    own.forEach((point, index) => {
      if (!point) return;
      context.fillStyle = POINT_COLORS[span[0] + index];
      context.beginPath();
      context.arc(...point, dot, 0, 2 * Math.PI);
      context.fill();
    });
  }
}

function drawBox(context, { box, boxScore }, { scaleX, scaleY }) {
  const [left, top, right, bottom] = [
    box[0] * scaleX,
    box[1] * scaleY,
    box[2] * scaleX,
    box[3] * scaleY,
  ];
  const shorter = Math.min(context.canvas.width, context.canvas.height);
  context.lineWidth = Math.max(1, Math.round(shorter / 360));
  context.strokeStyle = BOX;
  context.strokeRect(left, top, right - left, bottom - top);
  const letterPx = Math.max(10, shorter / 40);
  context.font = `${letterPx}px sans-serif`;
  context.textBaseline = 'top';
  const text = boxScore.toFixed(2);
  const pad = letterPx / 4;
  const labelWidth = context.measureText(text).width + 2 * pad;
  const x = clamp(left, 0, context.canvas.width - labelWidth);
  const y = clamp(top - letterPx - 2 * pad, 0, context.canvas.height);
  context.fillStyle = BOX;
  context.fillRect(x, y, labelWidth, letterPx + 2 * pad);
  context.fillStyle = 'white';
  context.fillText(text, x + pad, y + pad);
}
