/**
 * Puts the page together: `node build.js` writes dist/, a folder of plain files for any server.
 *
 * Nothing is translated or bundled. The page's own scripts, ONNX Runtime Web from node_modules
 * and the models of the Python package are copied, and files.json says what there is.
 */

import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

const WEB = import.meta.dirname;
const REPOSITORY = join(WEB, '..');
const DIST = join(WEB, 'dist');
const PACKAGE = join(REPOSITORY, 'dwpose_infer');
const ORT = join(WEB, 'node_modules', 'onnxruntime-web');

// Names of ONNX Runtime Web's files: a script, and the WebAssembly with the script around it.
const RUNTIMES = {
  wasm: { script: 'ort.wasm.min.mjs', binary: 'ort-wasm-simd-threaded' },
  webgpu: { script: 'ort.jspi.min.mjs', binary: 'ort-wasm-simd-threaded.jspi' },
  webgpu_asyncify: { script: 'ort.webgpu.min.mjs', binary: 'ort-wasm-simd-threaded.asyncify' },
};

if (!existsSync(ORT)) {
  console.error('onnxruntime-web is not installed: run `npm ci` in web/, or `make web` above it');
  process.exit(1);
}
rmSync(DIST, { recursive: true, force: true });
cpSync(join(WEB, 'src'), DIST, { recursive: true });
copy(join(REPOSITORY, 'tests', 'photos', 'astronaut.jpg'), 'example.jpg');
for (const [from, to] of [
  [join(REPOSITORY, 'LICENSE'), 'dwpose_infer.txt'],
  [join(PACKAGE, 'weights', 'LICENSE-WEIGHTS.md'), 'weights.md'],
  [join(WEB, 'LICENSE-onnxruntime-web.txt'), 'onnxruntime-web.txt'],
]) {
  copy(from, `licences/${to}`);
}
writeFileSync(join(DIST, 'files.json'), `${JSON.stringify(files(), null, 2)}\n`);
console.log('web/dist is ready: python -m http.server --directory web/dist');

function files() {
  const models = bundledModels();
  const [detector] = models.filter((model) => model.kind === 'detector');
  const poses = models.filter((model) => model.kind === 'pose');
  return {
    runtimes: Object.fromEntries(
      Object.entries(RUNTIMES).map(([name, runtime]) => [name, runtimeFiles(runtime)]),
    ),
    detector: { ...modelFile(detector), scoreThreshold: detector.score_threshold },
    poses: Object.fromEntries(poses.map((pose) => [pose.name, modelFile(pose)])),
  };
}

function bundledModels() {
  const manifest = JSON.parse(readFileSync(join(PACKAGE, 'zoo', 'manifest.json'), 'utf-8'));
  return manifest.models.filter((model) => model.bundled_file !== null);
}

/** Scripts end in .js here: servers that do not know .mjs send what browsers refuse to run. */
function runtimeFiles({ script, binary }) {
  const from = join(ORT, 'dist');
  return {
    script: copy(join(from, script), `ort/${script.replace('.mjs', '.js')}`),
    glue: copy(join(from, `${binary}.mjs`), `ort/${binary}.js`),
    wasm: copy(join(from, `${binary}.wasm`), `ort/${binary}.wasm`),
  };
}

function modelFile(model) {
  const [height, width] = model.input_hw;
  const from = join(PACKAGE, 'weights', model.bundled_file);
  return { ...copy(from, `models/${model.bundled_file}`), inputSize: { width, height } };
}

function copy(from, path) {
  const to = join(DIST, path);
  mkdirSync(join(to, '..'), { recursive: true });
  cpSync(from, to);
  const sha256 = createHash('sha256').update(readFileSync(to)).digest('hex');
  return { path, bytes: statSync(to).size, sha256 };
}
