/**
 * The networks under ONNX Runtime Web: on the GPU through WebGPU, or on the CPU as WebAssembly.
 *
 * @typedef {'webgpu' | 'wasm'} Device
 */

import { download } from './download.js';

const MAX_THREADS = 8;

/**
 * Chooses where to compute.
 *
 * @param {'auto' | Device} wanted
 * @returns {Promise<{device: Device, note: string}>} And what the user should know about it.
 * @throws {Error} WebGPU was asked for and is not there.
 */
export async function chooseDevice(wanted) {
  if (wanted === 'wasm') return { device: 'wasm', note: '' };
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  if (!adapter) {
    const missing = navigator.gpu
      ? 'this browser gives no graphics card to WebGPU'
      : 'this browser has no WebGPU here, which also needs https or localhost';
    if (wanted === 'auto') return { device: 'wasm', note: `No WebGPU: ${missing}.` };
    throw new Error(`WebGPU cannot be used: ${missing}. Choose “Automatic” instead.`);
  }
  const emulated = adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter;
  if (emulated && wanted === 'auto') {
    return { device: 'wasm', note: 'No WebGPU: the processor would only emulate a graphics card.' };
  }
  return { device: 'webgpu', note: emulated ? 'The processor emulates the graphics card.' : '' };
}

/** ONNX Runtime with the detector and one pose network, ready to run. */
export class Engine {
  /**
   * Loads everything.
   *
   * @param {object} files - What the build wrote into files.json.
   * @param {object} options
   * @param {Device} options.device
   * @param {string} options.pose - Name of the pose network.
   * @param {(loadedBytes: number, allBytes: number) => void} options.onProgress
   * @returns {Promise<Engine>}
   */
  static async load(files, { device, pose, onProgress }) {
    const runtime = files.runtimes[runtimeName(device)];
    const models = [files.detector, files.poses[pose]];
    const contents = await download([runtime.wasm, ...models].map(located), onProgress);
    const ort = await import(located(runtime.script).url.href);
    // WebAssembly threads share memory, which browsers allow only to isolated pages.
    const threads = globalThis.crossOriginIsolated
      ? Math.min(MAX_THREADS, navigator.hardwareConcurrency || 1)
      : 1;
    Object.assign(ort.env.wasm, {
      numThreads: threads,
      wasmPaths: { mjs: located(runtime.glue).url.href },
      wasmBinary: contents[0].buffer,
    });
    const engine = new Engine(ort, device, threads);
    engine.detector = await engine.network(contents[1], files.detector);
    engine.pose = await engine.network(contents[2], files.poses[pose]);
    return engine;
  }

  constructor(ort, device, threads) {
    this.ort = ort;
    this.device = device;
    this.threads = threads;
  }

  /** Takes another pose network. */
  async usePose(file, onProgress) {
    const [model] = await download([located(file)], onProgress);
    const next = await this.network(model, file);
    await this.pose.release();
    this.pose = next;
  }

  async network(model, { inputSize }) {
    const options = { executionProviders: [this.device], logSeverityLevel: 3 }; // errors alone
    const session = await this.ort.InferenceSession.create(model, options);
    // As in Python: a canvas cut to the picture saves time, but on graphics cards new sizes cost it.
    const anySize = this.device === 'wasm' && typeof session.inputMetadata[0].shape[1] === 'string';
    const network = new Network(this.ort, session, { inputSize, anySize });
    // Once on nothing: shaders are compiled and memory is taken now, not at the first photo.
    await network.run(new Uint8Array(inputSize.width * inputSize.height * 3), inputSize);
    return network;
  }
}

/** A graph in deploy form; see `Network` in predictor.js. */
class Network {
  constructor(ort, session, { inputSize, anySize }) {
    this.ort = ort;
    this.session = session;
    this.inputSize = inputSize;
    this.anySize = anySize;
  }

  async run(bgr, { width, height }) {
    const input = new this.ort.Tensor('uint8', bgr, [1, height, width, 3]);
    const outputs = await this.session.run({ [this.session.inputNames[0]]: input });
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
  }

  release() {
    return this.session.release();
  }
}

/** WebGPU works asynchronously, for which WebAssembly has two ways; the newer is 10 MB smaller. */
function runtimeName(device) {
  if (device === 'wasm') return 'wasm';
  return 'Suspending' in WebAssembly ? 'webgpu' : 'webgpu_asyncify';
}

function located(file) {
  return { ...file, url: new URL(file.path, import.meta.url) };
}
