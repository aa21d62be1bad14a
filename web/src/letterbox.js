/**
 * Fitting a whole picture into the detector's input, equal to `dwpose_infer.letterbox` byte for
 * byte: the resampling is OpenCV's `INTER_LINEAR` on bytes, in the same fixed-point steps.
 *
 * A picture here and in the other modules is `{rgba, width, height}`: four bytes a pixel, rows
 * from the top, as a canvas gives them. Alpha is left aside. Networks take BGR.
 */

/** Grey of the padding, as YOLOX was trained with. */
export const PAD_VALUE = 114;

/** Pixels of grey that a canvas cut to its picture keeps at the padded side. */
const LEAST_PADDING = 16;

const WEIGHT_ONE = 2048; // weights have 11 binary places

/**
 * The smallest canvas that holds a picture as large as `letterbox` makes it, and some grey.
 *
 * @param {{width: number, height: number}} picture
 * @param {{width: number, height: number}} size - Of the whole canvas, in pixels.
 * @param {number} step - What the sides have to be multiples of.
 * @returns {{width: number, height: number}}
 */
export function fittingSize(picture, size, step) {
  const ratio = Math.min(size.width / picture.width, size.height / picture.height);
  const fit = (side, whole) => {
    const scaled = Math.max(1, Math.trunc(side * ratio));
    return Math.min(whole, Math.ceil((scaled + LEAST_PADDING) / step) * step);
  };
  return { width: fit(picture.width, size.width), height: fit(picture.height, size.height) };
}

/**
 * Shrinks or enlarges a picture into the top left corner of a grey canvas.
 *
 * @param {{rgba: Uint8Array|Uint8ClampedArray, width: number, height: number}} picture
 * @param {{width: number, height: number}} size - Of the canvas, in pixels.
 * @returns {{bgr: Uint8Array, ratio: number}} The canvas, (height, width, 3), and the ratio of
 *     canvas to picture pixels: a box in the picture is the box on the canvas divided by it.
 */
export function letterbox(picture, { width, height }) {
  const ratio = Math.min(height / picture.height, width / picture.width);
  // Truncated, not rounded, like the reference; a very long picture keeps at least one pixel.
  const scaledWidth = Math.max(1, Math.trunc(picture.width * ratio));
  const scaledHeight = Math.max(1, Math.trunc(picture.height * ratio));
  const bgr = new Uint8Array(width * height * 3).fill(PAD_VALUE);
  resizeInto(bgr, 3 * width, picture, scaledWidth, scaledHeight);
  return { bgr, ratio };
}

/** Writes a resized picture into the top left corner of (…, rowBytes) BGR bytes. */
function resizeInto(bgr, rowBytes, picture, width, height) {
  const columns = taps(picture.width, width);
  const rows = taps(picture.height, height);
  // Neighbouring rows share sources: each source row is resampled once.
  let above = { index: -1, values: new Int32Array(3 * width) };
  let below = { index: -1, values: new Int32Array(3 * width) };
  for (let y = 0; y < height; y++) {
    const wanted = [rows.first[y], rows.second[y]];
    if (below.index === wanted[0]) [above, below] = [below, above];
    if (above.index !== wanted[0]) resampleRow(above, picture, wanted[0], columns);
    if (below.index !== wanted[1]) resampleRow(below, picture, wanted[1], columns);
    const [a, b] = [above.values, below.values];
    const [weightA, weightB] = [rows.firstWeight[y], rows.secondWeight[y]];
    const start = y * rowBytes;
    for (let x = 0; x < 3 * width; x++) {
      const sum = ((weightA * (a[x] >> 4)) >> 16) + ((weightB * (b[x] >> 4)) >> 16);
      bgr[start + x] = (sum + 2) >> 2;
    }
  }
}

/** Resamples one row of the picture to the new width: BGR values times 2048. */
function resampleRow(row, picture, index, columns) {
  row.index = index;
  const { rgba } = picture;
  const { values } = row;
  const start = 4 * index * picture.width;
  const count = columns.first.length;
  for (let x = 0; x < count; x++) {
    const a = start + 4 * columns.first[x];
    const b = start + 4 * columns.second[x];
    const weightA = columns.firstWeight[x];
    const weightB = columns.secondWeight[x];
    values[3 * x] = rgba[a + 2] * weightA + rgba[b + 2] * weightB;
    values[3 * x + 1] = rgba[a + 1] * weightA + rgba[b + 1] * weightB;
    values[3 * x + 2] = rgba[a] * weightA + rgba[b] * weightB;
  }
}

/** For each new pixel along one axis: the two old ones it lies between, and their weights. */
function taps(oldSize, newSize) {
  const step = 1 / (newSize / oldSize); // not oldSize / newSize: it rounds differently
  const first = new Int32Array(newSize);
  const second = new Int32Array(newSize);
  const firstWeight = new Int32Array(newSize);
  const secondWeight = new Int32Array(newSize);
  for (let index = 0; index < newSize; index++) {
    const position = Math.fround((index + 0.5) * step - 0.5);
    const lower = Math.floor(position);
    const share = Math.fround(position - lower);
    first[index] = Math.min(Math.max(lower, 0), oldSize - 1);
    second[index] = Math.min(Math.max(lower + 1, 0), oldSize - 1);
    firstWeight[index] = roundHalfToEven(Math.fround(1 - share) * WEIGHT_ONE);
    secondWeight[index] = roundHalfToEven(share * WEIGHT_ONE);
  }
  return { first, second, firstWeight, secondWeight };
}

/**
 * Rounds to the nearest whole number, halves to the even one, as the processor does for OpenCV.
 *
 * @param {number} value
 * @returns {number}
 */
export function roundHalfToEven(value) {
  const lower = Math.floor(value);
  const rest = value - lower;
  if (rest !== 0.5) return rest < 0.5 ? lower : lower + 1;
  return lower % 2 === 0 ? lower : lower + 1;
}
