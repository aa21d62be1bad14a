/** The page: what the controls do. */

import { closeCamera, hasSeveralCameras, openCamera } from './camera.js';
import { WorkerClient } from './client.js';
import { openPicture, pictureOf } from './picture.js';
import { resultToObject } from './result_json.js';
import { describe, draw, fillTable } from './view.js';

const at = (id) => document.getElementById(id);
const video = at('video');

let client = null; // the worker, and what it was started for
let loading = null; // promise of the engine
let shown = null; // the picture on the page, see view.js
let turn = 0; // counts what the user began: answers to what came before are not shown
let facing = 'user';

const drawing = () => ({
  style: document.querySelector('input[name=style]:checked').value,
  boxes: at('boxes').checked,
  minScore: at('point-threshold').valueAsNumber,
  shorterSide: Number(at('canvas-size').value) || null,
});
const personThreshold = () => at('person-threshold').valueAsNumber;

// What is said ---------------------------------------------------------------------------------

function say(text) {
  if (at('status').textContent !== text) at('status').textContent = text;
}

function complain(error) {
  console.error(error);
  at('alert').textContent = error.message;
  at('alert').hidden = false;
  at('progress').hidden = true;
  say('');
}

function clearComplaint() {
  at('alert').hidden = true;
  at('alert').textContent = '';
}

function showProgress({ stage, done, all }) {
  if (stage === 'persons' && (all < 4 || camera.running)) return;
  const bar = at('progress');
  const label =
    stage === 'download'
      ? `Loading the networks, ${(all / 1e6).toFixed(0)} MB`
      : `Looking at ${all} persons`;
  bar.hidden = false;
  bar.max = all;
  bar.value = done;
  bar.setAttribute('aria-label', label);
  say(stage === 'download' && done === all ? 'Starting the networks …' : `${label} …`);
}

// The engine -----------------------------------------------------------------------------------

/** Loads what the settings ask for; at once where it is there already. */
function engine() {
  const wanted = { device: at('device').value, pose: at('model').value };
  if (client && client.device !== wanted.device) closeEngine('Computed elsewhere now.');
  if (loading && client.pose === wanted.pose) return loading;
  client ??= Object.assign(new WorkerClient(showProgress), { device: wanted.device });
  client.pose = wanted.pose;
  const started = performance.now();
  const mine = client
    .request('load', wanted)
    .then((answer) => {
      performance.measure('load', { start: started });
      if (mine === loading) at('engine').textContent = engineWords(answer);
    })
    .catch((error) => {
      if (mine === loading) closeEngine(error.message);
      throw error;
    });
  loading = mine;
  return mine;
}

function closeEngine(reason) {
  client.close(reason);
  client = null;
  loading = null;
}

function engineWords({ device, threads, note }) {
  if (device === 'webgpu') return `Computed by WebGPU on the graphics card. ${note}`;
  const alone = crossOriginIsolated ? '' : '; more need a server that isolates the page';
  const how =
    threads === 1 ? `one thread of the processor${alone}` : `${threads} threads of the processor`;
  return `Computed by WebAssembly on ${how}. ${note}`;
}

// Pictures -------------------------------------------------------------------------------------

async function showFile(file) {
  stopCamera();
  const mine = ++turn;
  await guarded(mine, async () => {
    say('Opening the picture …');
    const { bitmap, imageSize } = await openPicture(file);
    if (mine !== turn) return;
    await showPicture(mine, { bitmap, imageSize, source: file.name ?? null });
  });
}

/** Shows a picture at once, and its persons when they are found. */
async function showPicture(mine, picture) {
  shown = { ...picture, persons: [] };
  at('result').hidden = false;
  at('downloads').hidden = true;
  at('persons').hidden = true;
  redraw();
  await engine();
  if (mine !== turn) return;
  say('Looking for persons …');
  await searchShown(mine);
}

async function searchShown(mine) {
  const started = performance.now();
  const request = { bitmap: shown.bitmap, scoreThreshold: personThreshold() };
  const answer = await client.request('search', request);
  if (mine !== turn) return;
  showAnswer(answer);
  const elapsed = performance.measure('result', { start: started }).duration;
  if (shown.persons.length)
    say(`${foundWords()} ${shrunkWords()}It took ${elapsed.toFixed(0)} ms.`);
}

/** Asks anew about the picture on the page, after a setting has changed. */
async function again(options = {}) {
  if (!shown || camera.running) return;
  const mine = ++turn;
  await guarded(mine, async () => {
    const before = client;
    await engine();
    if (mine !== turn) return;
    if (client !== before || !shown.searched) {
      await searchShown(mine); // by another engine, which has not seen it yet
      return;
    }
    const request = { scoreThreshold: personThreshold(), ...options };
    const answer = await client.request('persons', request);
    if (mine !== turn) return;
    showAnswer(answer);
    if (shown.persons.length) say(foundWords());
  });
}

function showAnswer({ persons, bestScore }) {
  const { bitmap, imageSize } = shown;
  shown.searched = true;
  shown.persons = persons.map((person) =>
    enlarged(person, imageSize.width / bitmap.width, imageSize.height / bitmap.height),
  );
  at('progress').hidden = true;
  at('downloads').hidden = false;
  at('whole').hidden = persons.length > 0;
  redraw();
  if (!persons.length) say(`${nobodyWords(bestScore)} ${shrunkWords()}`);
}

/** From pixels of a shrunk picture to those of the file. */
function enlarged(person, x, y) {
  if (x === 1 && y === 1) return person;
  const enlarge = (values) => values.map((value, index) => value * (index % 2 ? y : x));
  return { ...person, box: enlarge(person.box), keypoints: enlarge(person.keypoints) };
}

function foundWords() {
  return shown.persons.length === 1
    ? 'One person found.'
    : `${shown.persons.length} persons found.`;
}

function nobodyWords(bestScore) {
  const threshold = personThreshold();
  const lower =
    bestScore > 0.05 && bestScore <= threshold
      ? `The likeliest place scores ${bestScore.toFixed(2)}: move “Persons from score” below it. `
      : '';
  return (
    `Nobody found with a score above ${threshold.toFixed(2)}. If there is somebody: ${lower}` +
    'A picture in which the person is larger helps too, or take the whole picture for one person.'
  );
}

function shrunkWords() {
  const { bitmap, imageSize } = shown;
  if (bitmap.width === imageSize.width) return '';
  return (
    `The picture has ${imageSize.width} × ${imageSize.height} pixels and was shrunk to ` +
    `${bitmap.width} × ${bitmap.height}; the points in the JSON are in its own pixels. `
  );
}

function redraw() {
  if (!shown) return;
  draw(at('canvas'), shown, drawing());
  at('canvas').setAttribute('aria-label', describe(shown, drawing()));
  fillTable(at('persons'), shown, drawing());
}

/** Runs something the user began, and says what went wrong unless something newer was begun. */
async function guarded(mine, action) {
  clearComplaint();
  at('whole').hidden = true;
  try {
    await action();
  } catch (error) {
    if (mine === turn) complain(error);
  }
}

// The camera -----------------------------------------------------------------------------------

const camera = { running: false };

async function startCamera() {
  stopCamera();
  const mine = ++turn;
  await guarded(mine, async () => {
    say('Waiting for the camera …');
    const stream = await openCamera(video, facing);
    if (mine !== turn) {
      closeCamera(video);
      return;
    }
    camera.running = true;
    stream.getTracks()[0].onended = () => endCamera(() => 'The camera was disconnected.');
    at('camera-buttons').hidden = false;
    at('downloads').hidden = true;
    at('result').hidden = false;
    at('other-camera').hidden = !(await hasSeveralCameras());
    await engine();
    say('The camera is on. Everything stays on this device.');
    at('progress').hidden = true;
    while (camera.running && mine === turn) await showFrame(mine);
  });
  if (mine === turn && !at('alert').hidden) stopCamera();
}

/** Searches the present frame, then shows it together with what was found in it. */
async function showFrame(mine) {
  await engine(); // the settings may have changed
  const bitmap = await createImageBitmap(video);
  const request = { bitmap, scoreThreshold: personThreshold() };
  const { persons } = await client.request('search', request);
  if (!camera.running || mine !== turn) return;
  const imageSize = { width: bitmap.width, height: bitmap.height };
  shown?.bitmap.close();
  shown = { bitmap, imageSize, source: null, persons, searched: true };
  redraw();
}

function stopCamera() {
  camera.running = false;
  closeCamera(video);
  at('camera-buttons').hidden = true;
}

function endCamera(words) {
  turn++;
  stopCamera();
  at('progress').hidden = true;
  at('downloads').hidden = !shown?.searched;
  say(shown?.searched ? words() : 'The camera is off.');
}

// Saving ---------------------------------------------------------------------------------------

function save(blob, ending) {
  const stem = (shown.source ?? 'camera').replace(/\.[^.]+$/, '');
  const link = document.createElement('a');
  link.href = URL.createObjectURL(blob);
  link.download = `${stem}${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // some browsers read it late
}

function saveJson() {
  const text = JSON.stringify(resultToObject(shown.persons, shown));
  save(new Blob([`${text}\n`], { type: 'application/json' }), '.json');
}

function savePng() {
  at('canvas').toBlob((blob) => {
    if (blob) save(blob, `_${drawing().style}.png`);
    else complain(new Error('The drawing is too large for this browser to save.'));
  });
}

// The controls ---------------------------------------------------------------------------------

function listen(id, event, action) {
  at(id).addEventListener(event, action);
}

function showThresholds() {
  for (const id of ['person-threshold', 'point-threshold']) {
    at(`${id}-value`).textContent = at(id).valueAsNumber.toFixed(2);
  }
}

async function showExample() {
  clearComplaint();
  const response = await fetch('example.jpg').catch(() => null);
  if (!response?.ok) {
    complain(new Error('The example could not be loaded: is the server still there?'));
    return;
  }
  const blob = await response.blob();
  await showFile(new File([blob], 'example.jpg', { type: 'image/jpeg' }));
}

function acceptTransfer(transfer) {
  try {
    showFile(pictureOf(transfer));
  } catch (error) {
    clearComplaint();
    complain(error);
  }
}

function connectControls() {
  listen('choose', 'click', () => at('file').click());
  listen('file', 'change', () => {
    const [file] = at('file').files;
    at('file').value = ''; // choosing the same file again is a change, too
    if (file) showFile(file);
  });
  listen('example', 'click', showExample);
  listen('camera', 'click', startCamera);
  listen('take', 'click', () => endCamera(foundWords));
  listen('stop', 'click', () => endCamera(() => 'The camera is off.'));
  listen('other-camera', 'click', () => {
    facing = facing === 'user' ? 'environment' : 'user';
    startCamera();
  });
  listen('whole', 'click', () => again({ wholePicture: true }));
  listen('person-threshold', 'input', showThresholds);
  listen('person-threshold', 'change', () => again());
  listen('point-threshold', 'input', () => {
    showThresholds();
    redraw();
  });
  listen('model', 'change', () => again());
  listen('device', 'change', () => again());
  listen('boxes', 'change', redraw);
  listen('canvas-size', 'change', redraw);
  for (const radio of document.querySelectorAll('input[name=style]')) {
    radio.addEventListener('change', redraw);
  }
  listen('save-json', 'click', saveJson);
  listen('save-png', 'click', savePng);

  document.addEventListener('paste', (event) => acceptTransfer(event.clipboardData));
  document.addEventListener('dragover', (event) => {
    event.preventDefault();
    document.body.classList.add('dropping');
  });
  document.addEventListener('dragleave', (event) => {
    if (!event.relatedTarget) document.body.classList.remove('dropping');
  });
  document.addEventListener('drop', (event) => {
    event.preventDefault();
    document.body.classList.remove('dropping');
    acceptTransfer(event.dataTransfer);
  });
}

async function start() {
  const response = await fetch('files.json', { cache: 'no-cache' });
  if (!response.ok) throw new Error(`files.json could not be loaded: status ${response.status}`);
  const files = await response.json();
  for (const [name, { bytes }] of Object.entries(files.poses)) {
    at('model').add(new Option(`${name} (${(bytes / 1e6).toFixed(0)} MB)`, name));
  }
  at('person-threshold').value = files.detector.scoreThreshold;
  showThresholds();
  connectControls();
  at('not-running').remove();
}

start().catch(complain);
