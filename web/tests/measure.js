/**
 * Measures what docs/web.md says: loading and first result in a fresh browser, then results of the
 * same photo again and again.
 *
 *     PAGE=http://localhost:8000/ node tests/measure.js [wasm|webgpu [model [browsers]]]
 */

import { join } from 'node:path';

import { choose, launch, measured, openPage, outcome } from './chromium.js';

const PHOTO = join(import.meta.dirname, '..', '..', 'tests', 'photos', 'astronaut.jpg');
const [device = 'wasm', model = 'dwpose-s-bundled', rounds = '7'] = process.argv.slice(2);
const AGAIN = 10;

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];
const times = { load: [], first: [], again: [] };
let engine;
for (let round = 0; round < Number(rounds); round++) {
  const browser = await launch(); // nothing compiled or cached by the one before
  const { page } = await openPage(browser, process.env.PAGE);
  await page.selectOption('#device', device);
  await page.selectOption('#model', model);
  await choose(page, PHOTO);
  ({ engine } = await outcome(page));
  times.load.push(await measured(page, 'load'));
  times.first.push(await measured(page, 'result'));
  for (let repeat = 0; repeat < AGAIN; repeat++) {
    await choose(page, PHOTO);
    await page.waitForFunction(
      (count) => performance.getEntriesByName('result').length === count,
      repeat + 2,
    );
    times.again.push(await measured(page, 'result'));
  }
  await browser.close();
}
console.log(engine);
for (const [name, values] of Object.entries(times)) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  console.log(
    `${name}: median ${median(values).toFixed(0)} ms of ${values.length}, ${least.toFixed(0)} to ${most.toFixed(0)}`,
  );
}
