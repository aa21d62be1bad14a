/**
 * The background thread in which everything is computed, so that the page stays usable.
 *
 * A request is `{id, task, ...}`; its answer is `{id, answer}` or `{id, error}`. In between come
 * `{progress: {stage, done, all}}`. Requests are carried out one after the other.
 */

import { Engine, chooseDevice } from './engine.js';
import { readPixels } from './pixels.js';
import { SearchedPicture } from './predictor.js';

let engine = null;
let note = ''; // what the user should know about the choice of the engine
let poseName = null;
let searched = null;

const TASKS = { load, search, persons };

let queue = Promise.resolve();
self.onmessage = ({ data: { id, task, ...request } }) => {
  queue = queue.then(async () => {
    try {
      self.postMessage({ id, answer: await TASKS[task](request) });
    } catch (error) {
      self.postMessage({ id, error: describe(error) });
    }
  });
};

function describe(error) {
  const message = error instanceof Error ? error.message : String(error);
  if (/memory|alloc/i.test(message)) {
    return `The memory of this browser was not enough (${message}). Close other tabs, or take a smaller picture.`;
  }
  return message;
}

function report(stage) {
  return (done, all) => self.postMessage({ progress: { stage, done, all } });
}

/** Loads runtime and networks, or another pose network into a runtime that is there. */
async function load({ device, pose }) {
  const files = await readFiles();
  if (!engine) await start(files, device, pose);
  else if (pose !== poseName) await engine.usePose(files.poses[pose], report('download'));
  poseName = pose;
  searched?.forgetPoses();
  return { device: engine.device, threads: engine.threads, note };
}

async function start(files, wanted, pose) {
  const chosen = await chooseDevice(wanted);
  const onProgress = report('download');
  note = chosen.note;
  try {
    engine = await Engine.load(files, { device: chosen.device, pose, onProgress });
  } catch (error) {
    if (chosen.device === 'wasm' || wanted !== 'auto') throw error;
    note = `WebGPU failed here: ${error.message}.`;
    engine = await Engine.load(files, { device: 'wasm', pose, onProgress });
  }
}

async function readFiles() {
  const response = await fetch(new URL('files.json', import.meta.url), { cache: 'no-cache' });
  if (!response.ok) throw new Error(`files.json could not be loaded: status ${response.status}`);
  return response.json();
}

/** Searches a picture, which is kept for `persons`. */
async function search({ bitmap, ...options }) {
  const picture = readPixels(bitmap);
  bitmap.close();
  searched = await SearchedPicture.search(picture, engine.detector);
  return persons(options);
}

/** Points of everybody above a threshold in the picture searched last. */
async function persons({ scoreThreshold, wholePicture = false }) {
  const found = await searched.persons({
    pose: engine.pose,
    scoreThreshold,
    wholePicture,
    onPerson: report('persons'),
  });
  return { persons: found, bestScore: searched.bestScore };
}
