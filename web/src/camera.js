/** The webcam: opening it, and the words for when it cannot be. */

/** Why the camera cannot be used, in words for the user. */
export class CameraError extends Error {}

const REASONS = {
  NotAllowedError:
    'The camera was refused. Allow it for this page, with the sign beside the address, and try again.',
  NotFoundError: 'There is no camera. Connect one, or choose a photo instead.',
  NotReadableError: 'The camera is in use by another program. Close that one and try again.',
  OverconstrainedError:
    'The camera does not give pictures that can be used. Choose a photo instead.',
};

/**
 * Opens a camera and shows it in a video element.
 *
 * @param {HTMLVideoElement} video
 * @param {'user' | 'environment'} facing - Which camera of a phone is preferred.
 * @returns {Promise<MediaStream>}
 * @throws {CameraError}
 */
export async function openCamera(video, facing) {
  if (!navigator.mediaDevices?.getUserMedia) {
    throw new CameraError('Browsers give the camera only to pages on https or localhost.');
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { width: { ideal: 1280 }, height: { ideal: 720 }, facingMode: { ideal: facing } },
    });
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    const reason = REASONS[error.name] ?? `The camera could not be opened: ${error.message}`;
    throw new CameraError(reason, { cause: error });
  }
}

/** Turns the camera off, light included. */
export function closeCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** Whether there is a second camera to change to, as on phones. */
export async function hasSeveralCameras() {
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === 'videoinput').length > 1;
}
