/**
 * The built page in a real Chromium. tests/web/test_page.py runs this file: it serves the page,
 * makes the pictures, and compares what is saved here with what Python finds.
 *
 * Environment: PAGE and ISOLATED_PAGE (addresses), PICTURES and OUT (folders), CHROMIUM.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';

import { choose, launch, openPage, outcome, save, transfer } from './chromium.js';

const { PAGE, ISOLATED_PAGE, PICTURES, OUT } = process.env;
const picture = (name) => join(PICTURES, name);

let browser;
before(async () => {
  browser = await launch();
});
after(() => browser.close());

/** Runs something on a fresh page, in which nothing may go wrong unseen. */
async function onPage(action, { url = PAGE, ...options } = {}) {
  const { page, problems } = await openPage(browser, url, options);
  try {
    await action(page);
    assert.deepEqual(problems, []);
  } finally {
    await page.context().close();
  }
}

const shownPersons = (page) => page.locator('#persons tbody tr').count();

describe('results, compared with Python afterwards', () => {
  const photos = ['astronaut.jpg', 'camera.jpg', 'grace_hopper.jpg'];
  const others = ['two.jpg', 'turned.jpg', 'clear.png', 'large.jpg'];
  for (const model of ['dwpose-s-bundled', 'dwpose-t-bundled']) {
    for (const photo of [...photos, ...(model.includes('-s-') ? others : [])]) {
      test(`${photo}, ${model}`, () =>
        onPage(async (page) => {
          await page.selectOption('#model', model);
          await page.selectOption('#device', 'wasm');
          await choose(page, picture(photo));
          const { status, alert, engine } = await outcome(page);
          assert.equal(alert, '');
          assert.match(engine, /WebAssembly on one thread/);
          if (photo === 'large.jpg')
            assert.match(status, /6000 × 9000 pixels and was shrunk to 5773 × 8660/);
          const base = join(OUT, `${photo}.${model}`);
          const stem = photo.replace(/\..*/, '');
          assert.equal(await save(page, '#save-json', `${base}.json`), `${stem}.json`);
          if (photo === 'large.jpg') return;
          assert.equal(await save(page, '#save-png', `${base}_overlay.png`), `${stem}_overlay.png`);
          await page.check('input[value=openpose]');
          assert.equal(
            await save(page, '#save-png', `${base}_openpose.png`),
            `${stem}_openpose.png`,
          );
        }));
    }
  }

  test('WebGPU gives the same', { timeout: 400_000 }, (context) =>
    onPage(async (page) => {
      await page.selectOption('#device', 'webgpu');
      await choose(page, picture('astronaut.jpg'));
      const { alert, engine } = await outcome(page, 380_000);
      if (/gives no graphics card/.test(alert)) {
        context.skip('this Chromium has no WebGPU, emulated or real');
        return;
      }
      assert.equal(alert, '');
      assert.match(engine, /WebGPU/);
      await save(page, '#save-json', join(OUT, 'webgpu.json'));
    }),
  );

  test('threads where the server isolates the page', () =>
    onPage(
      async (page) => {
        await page.click('#example');
        const { engine } = await outcome(page);
        const cores = await page.evaluate(() => navigator.hardwareConcurrency);
        const words = cores > 1 ? `${Math.min(cores, 8)} threads` : 'one thread of the processor.';
        assert.ok(engine.includes(words), engine);
        await save(page, '#save-json', join(OUT, 'threads.json'));
      },
      { url: ISOLATED_PAGE },
    ));
});

describe('ways in', () => {
  for (const event of ['drop', 'paste']) {
    test(event, () =>
      onPage(async (page) => {
        await transfer(page, event, picture('astronaut.jpg'), 'image/jpeg');
        assert.match((await outcome(page)).status, /^One person found/);
      }),
    );
  }

  test('the camera: live, taken, saved, off', () =>
    onPage(
      async (page) => {
        await page.click('#camera');
        await page.waitForFunction(() =>
          /camera is on/.test(document.getElementById('status').textContent),
        );
        await page.waitForFunction(() => document.getElementById('canvas').width === 1280);
        const pixels = () => page.evaluate(() => document.getElementById('canvas').toDataURL());
        const first = await pixels();
        await page.waitForFunction(
          (before) => document.getElementById('canvas').toDataURL() !== before,
          first,
          { polling: 300, timeout: 60_000 },
        );
        await page.click('#take');
        assert.match(await page.textContent('#status'), /persons? found|Nobody found/);
        assert.equal(await page.evaluate(() => document.getElementById('video').srcObject), null);
        const name = await save(page, '#save-json', join(OUT, 'camera.json'));
        assert.equal(name, 'camera.json');
        assert.equal(JSON.parse(readFileSync(join(OUT, 'camera.json'))).source, null);
      },
      { permissions: ['camera'] },
    ));

  test('a photo chosen while the camera runs replaces it', () =>
    onPage(
      async (page) => {
        await page.click('#camera');
        await page.waitForFunction(() =>
          /camera is on/.test(document.getElementById('status').textContent),
        );
        await choose(page, picture('astronaut.jpg'));
        assert.match((await outcome(page)).status, /^One person found/);
        assert.equal(await page.isVisible('#camera-buttons'), false);
      },
      { permissions: ['camera'] },
    ));
});

describe('settings', () => {
  test('thresholds, nobody, and the whole picture', () =>
    onPage(async (page) => {
      await choose(page, picture('blank.png'));
      assert.match((await outcome(page)).status, /Nobody found with a score above 0\.40/);
      assert.equal(await shownPersons(page), 0);
      await page.click('#whole');
      await page.waitForFunction(() => document.querySelectorAll('#persons tbody tr').length === 1);
      assert.equal(await page.isVisible('#whole'), false);

      await choose(page, picture('two.jpg'));
      await page.waitForFunction(() =>
        /^2 persons found/.test(document.getElementById('status').textContent),
      );
      await page.fill('#person-threshold', '0.95');
      await page.waitForFunction(() =>
        /Nobody found/.test(document.getElementById('status').textContent),
      );
      assert.match(await page.textContent('#status'), /likeliest place scores 0\.\d\d/);
      await page.fill('#person-threshold', '0.4');
      await page.waitForFunction(() => document.querySelectorAll('#persons tbody tr').length === 2);
      await page.fill('#point-threshold', '1');
      assert.match(await page.textContent('#persons tbody tr'), /0\/21/);
    }));

  test('another network and another engine compute the picture anew', () =>
    onPage(async (page) => {
      await choose(page, picture('astronaut.jpg'));
      await outcome(page);
      const points = async () => readFileSync(join(OUT, 'again.json'), 'utf-8');
      await save(page, '#save-json', join(OUT, 'again.json'));
      const small = await points();
      await page.selectOption('#model', 'dwpose-t-bundled');
      await page.waitForFunction(
        () => document.getElementById('status').textContent === 'One person found.',
      );
      await save(page, '#save-json', join(OUT, 'again.json'));
      assert.notEqual(await points(), small);
      await page.selectOption('#device', 'wasm');
      await page.waitForFunction(() =>
        /It took/.test(document.getElementById('status').textContent),
      );
    }));

  test('size of the OpenPose canvas, and boxes', () =>
    onPage(async (page) => {
      await choose(page, picture('two.jpg'));
      await outcome(page);
      const drawn = () => page.evaluate(() => document.getElementById('canvas').toDataURL());
      const without = await drawn();
      await page.check('#boxes');
      assert.notEqual(await drawn(), without);
      await page.check('input[value=openpose]');
      await page.selectOption('#canvas-size', '768');
      const size = await page.evaluate(() => {
        const canvas = document.getElementById('canvas');
        return Math.min(canvas.width, canvas.height);
      });
      assert.equal(size, 768);
    }));
});

describe('for everybody', () => {
  test('by keyboard alone', () =>
    onPage(async (page) => {
      const focused = () =>
        page.evaluate(() => document.activeElement.id || document.activeElement.value);
      const tabTo = async (id) => {
        for (let presses = 0; presses < 30; presses++) {
          if ((await focused()) === id) return;
          await page.keyboard.press('Tab');
        }
        assert.fail(`the Tab key does not lead to ${id}`);
      };
      await tabTo('choose');
      const [chooser] = await Promise.all([
        page.waitForEvent('filechooser'),
        page.keyboard.press('Enter'),
      ]);
      await chooser.setFiles(picture('two.jpg'));
      assert.match((await outcome(page)).status, /^2 persons found/);
      await tabTo('overlay');
      await page.keyboard.press('ArrowDown');
      assert.equal(await page.isChecked('input[value=openpose]'), true);
      assert.match(
        await page.getAttribute('#canvas', 'aria-label'),
        /^A black canvas with 2 skeletons/,
      );
      await tabTo('person-threshold');
      await page.keyboard.press('End');
      await page.waitForFunction(() =>
        /Nobody found/.test(document.getElementById('status').textContent),
      );
      assert.equal(await page.textContent('#person-threshold-value'), '0.95');
      await page.keyboard.press('Home');
      await page.waitForFunction(() => document.querySelectorAll('#persons tbody tr').length >= 2);
      await tabTo('save-json');
      const [download] = await Promise.all([
        page.waitForEvent('download'),
        page.keyboard.press('Enter'),
      ]);
      assert.equal(download.suggestedFilename(), 'two.json');
    }));

  test('nothing for the accessibility checker axe to find', async () => {
    const axe = readFileSync(
      new URL('../node_modules/axe-core/axe.min.js', import.meta.url),
      'utf-8',
    );
    for (const colorScheme of ['light', 'dark']) {
      await onPage(
        async (page) => {
          await choose(page, picture('two.jpg'));
          await outcome(page);
          await page.evaluate(axe);
          const { violations } = await page.evaluate(() => globalThis.axe.run());
          assert.deepEqual(
            violations.map(({ id, nodes }) => [id, nodes[0].html]),
            [],
          );
        },
        { colorScheme },
      );
    }
  });

  for (const width of [320, 390, 768]) {
    test(`no sideways scrolling at ${width} pixels`, () =>
      onPage(
        async (page) => {
          await choose(page, picture('two.jpg'));
          await outcome(page);
          const excess = await page.evaluate(
            () => document.documentElement.scrollWidth - innerWidth,
          );
          assert.equal(excess, 0);
        },
        { viewport: { width, height: 800 } },
      ));
  }
});

describe('errors say what to do', () => {
  const cases = [
    ['notes.jpg', /notes\.jpg is not a picture that this browser can read\. JPEG, PNG/],
    ['empty.jpg', /empty\.jpg is empty/],
    ['tiny.png', /tiny\.png has 4 × 4 pixels, too few to show anybody; 8 × 8/],
    ['cut.png', /cut\.png \(.*\) could not be decoded: it is damaged/],
  ];
  for (const [name, words] of cases) {
    test(name, () =>
      onPage(async (page) => {
        await choose(page, picture(name));
        assert.match((await outcome(page)).alert, words);
        await choose(page, picture('astronaut.jpg')); // and the page goes on
        await page.waitForFunction(() =>
          /One person/.test(document.getElementById('status').textContent),
        );
        assert.equal(await page.isVisible('#alert'), false);
      }),
    );
  }

  test('no picture in what is pasted', () =>
    onPage(async (page) => {
      await transfer(page, 'paste', null);
      assert.match((await outcome(page)).alert, /There is no picture in it/);
    }));

  test('the camera is refused', () =>
    onPage(async (page) => {
      await page.click('#camera');
      assert.match((await outcome(page)).alert, /camera was refused\. Allow it/);
      assert.equal(await page.isVisible('#camera-buttons'), false);
    }));

  test('there is no camera', () =>
    onPage(async (page) => {
      await page.evaluate(() => {
        navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException('Requested device not found', 'NotFoundError');
        };
      });
      await page.click('#camera');
      assert.match((await outcome(page)).alert, /There is no camera\. Connect one/);
    }));

  test('a network is missing, cut off or another one; the next try works', () =>
    onPage(async (page) => {
      const answers = [
        [{ status: 404, body: '' }, /onnx could not be loaded: the server answered 404/],
        [{ body: Buffer.alloc(1000) }, /onnx is not the file that this page was built with/],
        [{ body: Buffer.alloc(1_962_790) }, /onnx is not the file that this page was built with/],
      ];
      for (const [answer, words] of answers) {
        await page.route('**/yolox*', (route) => route.fulfill(answer));
        await page.click('#example');
        await page.waitForFunction(() => !document.getElementById('alert').hidden);
        assert.match(await page.textContent('#alert'), words);
        await page.unroute('**/yolox*');
      }
      await page.click('#example');
      await page.waitForFunction(() =>
        /One person/.test(document.getElementById('status').textContent),
      );
    }));

  test('a slow server: progress is shown', () =>
    onPage(async (page) => {
      let release;
      const held = new Promise((resolve) => {
        release = resolve;
      });
      await page.route('**/dwpose-s*', async (route) => {
        await held;
        await route.continue();
      });
      await page.click('#example');
      await page.waitForFunction(() => document.getElementById('progress').value > 15e6);
      assert.equal(
        await page.getAttribute('#progress', 'aria-label'),
        'Loading the networks, 33 MB',
      );
      assert.match(await page.textContent('#status'), /^Loading the networks/);
      release();
      await page.waitForFunction(() =>
        /One person/.test(document.getElementById('status').textContent),
      );
      assert.equal(await page.isVisible('#progress'), false);
    }));

  test('WebGPU was asked for and is not there', () =>
    onPage(async (page) => {
      await page.route('**/engine.js', async (route) => {
        const source = await (await route.fetch()).text();
        const body = `const navigator = { hardwareConcurrency: 1 };\n${source}`;
        await route.fulfill({ contentType: 'text/javascript', body });
      });
      await page.selectOption('#device', 'webgpu');
      await page.click('#example');
      assert.match(
        (await outcome(page)).alert,
        /WebGPU cannot be used: this browser has no WebGPU/,
      );
      await page.selectOption('#device', 'auto');
      assert.match((await outcome(page)).engine, /No WebGPU: this browser has no WebGPU/);
    }));
});
