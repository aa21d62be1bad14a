/** Opening what a user chose, dropped or pasted. */

/** Larger pictures are shrunk: decoded, 50 million pixels take 400 MB here. */
export const MAX_PIXELS = 50_000_000;

/** Least width and height in pixels, as for `dwpose-infer`. */
export const MIN_SIDE = 8;

/** What is wrong with a picture, in words for the user. */
export class PictureError extends Error {}

/**
 * Decodes a picture file: upright by its EXIF orientation, its colours as they are in the file.
 *
 * @param {Blob} file
 * @param {number} [maxPixels] - Larger ones are shrunk while they are decoded.
 * @returns {Promise<{bitmap: ImageBitmap, imageSize: {width: number, height: number}}>} The
 *     decoded picture, and the size of the file's own, which is larger where it was shrunk.
 * @throws {PictureError}
 */
export async function openPicture(file, maxPixels = MAX_PIXELS) {
  const name = file.name ?? 'The picture';
  if (file.size === 0) throw new PictureError(`${name} is empty.`);
  const imageSize = await measure(file, name);
  const { width, height } = imageSize;
  if (width < MIN_SIDE || height < MIN_SIDE) {
    throw new PictureError(
      `${name} has ${width} × ${height} pixels, too few to show anybody; ${MIN_SIDE} × ${MIN_SIDE} is the least.`,
    );
  }
  const options = { imageOrientation: 'from-image', colorSpaceConversion: 'none' };
  const shrunk = shrunkSize(imageSize, maxPixels);
  if (shrunk) {
    options.resizeWidth = shrunk.width;
    options.resizeHeight = shrunk.height;
    options.resizeQuality = 'high';
  }
  try {
    return { bitmap: await createImageBitmap(file, options), imageSize };
  } catch (error) {
    throw new PictureError(
      `${name} (${width} × ${height} pixels) could not be decoded: it is damaged, or too large for the ` +
        `memory of this browser. (${error.message})`,
      { cause: error },
    );
  }
}

/**
 * The size to which a picture is shrunk; null where it may stay.
 *
 * @param {{width: number, height: number}} size
 * @param {number} maxPixels
 * @returns {{width: number, height: number} | null}
 */
export function shrunkSize({ width, height }, maxPixels) {
  if (width * height <= maxPixels) return null;
  const factor = Math.sqrt(maxPixels / (width * height));
  const shrink = (side) => Math.max(MIN_SIDE, Math.floor(side * factor));
  return { width: shrink(width), height: shrink(height) };
}

/** Reads the size from the file's head; decoding a huge picture only to refuse it takes seconds. */
async function measure(file, name) {
  const url = URL.createObjectURL(file);
  const image = new Image();
  try {
    await new Promise((resolve, reject) => {
      image.onload = resolve;
      image.onerror = reject;
      image.src = url;
    });
    return { width: image.naturalWidth, height: image.naturalHeight };
  } catch (error) {
    throw new PictureError(
      `${name} is not a picture that this browser can read. JPEG, PNG, WebP, GIF, BMP and AVIF work; ` +
        'save others, such as HEIC, TIFF or raw files, as JPEG first.',
      { cause: error },
    );
  } finally {
    URL.revokeObjectURL(url);
  }
}

/**
 * The first picture among what was dropped or pasted.
 *
 * @param {DataTransfer | null} transfer
 * @returns {File}
 * @throws {PictureError} There is none.
 */
export function pictureOf(transfer) {
  const files = Array.from(transfer?.files ?? []);
  const picture = files.find((file) => file.type.startsWith('image/')) ?? files[0];
  if (!picture) {
    throw new PictureError(
      'There is no picture in it. Drop or paste a picture file; from another web page, save the picture first.',
    );
  }
  return picture;
}
