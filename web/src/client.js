/** The page's end of the line to the worker: a promise for every request. */

export class WorkerClient {
  /** @param {(progress: {stage: string, done: number, all: number}) => void} onProgress */
  constructor(onProgress) {
    this.waiting = new Map();
    this.nextId = 0;
    this.worker = new Worker(new URL('worker.js', import.meta.url), { type: 'module' });
    this.worker.onmessage = ({ data }) => {
      if (data.progress) onProgress(data.progress);
      else this.settle(data);
    };
    this.worker.onerror = (event) => {
      event.preventDefault();
      const reason = event.message ? ` (${event.message})` : '';
      this.close(`The part of the page that computes did not start${reason}. Reload the page.`);
    };
  }

  /**
   * @param {'load' | 'search' | 'persons'} task
   * @param {object} fields
   * @returns {Promise<any>}
   */
  request(task, fields) {
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, task, ...fields });
    });
  }

  settle({ id, answer, error }) {
    const waiting = this.waiting.get(id);
    this.waiting.delete(id);
    if (error === undefined) waiting?.resolve(answer);
    else waiting?.reject(new Error(error));
  }

  /** Ends the worker; requests without an answer fail with the reason. */
  close(reason) {
    this.worker.terminate();
    for (const { reject } of this.waiting.values()) reject(new Error(reason));
    this.waiting.clear();
  }
}
