/** From a decoded picture to its bytes. */

const STRIP_PIXELS = 2 ** 22;

/**
 * Reads the pixels of a picture, white behind transparency, in strips: canvases of phones hold 16
 * million pixels at most.
 *
 * @param {ImageBitmap} bitmap
 * @returns {import('./predictor.js').Picture}
 */
export function readPixels(bitmap) {
  const { width, height } = bitmap;
  const rgba = new Uint8ClampedArray(4 * width * height);
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const canvas = new OffscreenCanvas(width, rows);
  // Read back at once: a canvas in the graphics card's memory would be slower, and rounds.
  const context = canvas.getContext('2d', { willReadFrequently: true });
  context.fillStyle = 'white';
  for (let top = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.fillRect(0, 0, width, count);
    context.drawImage(bitmap, 0, top, width, count, 0, 0, width, count);
    rgba.set(context.getImageData(0, 0, width, count).data, 4 * width * top);
  }
  return { rgba, width, height };
}
