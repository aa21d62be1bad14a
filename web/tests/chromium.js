/** Driving the built page in a real Chromium; shared by the tests, the measurement, the pictures. */

import { existsSync, readFileSync } from 'node:fs';

import { chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];

// WebGPU on the processor where there is no graphics card, and a camera that shows a test picture.
const OPTIONS = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  '--use-webgpu-adapter=swiftshader',
  '--use-fake-device-for-media-stream',
];

/** Starts the browser that CHROMIUM names, or the one that is installed. */
export function launch(options = []) {
  const executablePath = process.env.CHROMIUM ?? PLACES.find(existsSync);
  if (!executablePath) throw new Error('no Chromium is installed; CHROMIUM=/path/to/it names one');
  return chromium.launch({ executablePath, args: [...OPTIONS, ...options] });
}

/** A new page that gathers what goes wrong in it: errors, and requests to other hosts than url's. */
export async function watch(browser, url, options = {}) {
  const context = await browser.newContext({ acceptDownloads: true, ...options });
  const page = await context.newPage();
  const problems = [];
  page.on('pageerror', (error) => problems.push(`error: ${error.message}`));
  page.on('request', (request) => {
    const to = new URL(request.url());
    if (
      ['http:', 'https:', 'ws:', 'wss:'].includes(to.protocol) &&
      to.origin !== new URL(url).origin
    ) {
      problems.push(`request to ${to.origin}`);
    }
  });
  return { page, problems };
}

/** Opens the page of this folder, watched. */
export async function openPage(browser, url, options = {}) {
  const { page, problems } = await watch(browser, url, options);
  page.on('filechooser', () => {}); // from now on the browser asks the test, not a person
  await page.goto(url);
  await page.waitForSelector('#not-running', { state: 'detached' });
  return { page, problems };
}

/** Gives files to the page as a user would, through the file chooser. */
export async function choose(page, file) {
  const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#choose')]);
  await chooser.setFiles(file);
}

/** Waits until the page has said how it ended; gives its words. */
export async function outcome(page, timeout = 240_000) {
  await page.waitForFunction(
    () => {
      const words = document.getElementById('status').textContent;
      return /found|Nobody/.test(words) || !document.getElementById('alert').hidden;
    },
    null,
    { timeout },
  );
  return {
    status: await page.textContent('#status'),
    alert: await page.textContent('#alert'),
    engine: await page.textContent('#engine'),
  };
}

/** What a button saves, written to a path; gives the name it was offered under. */
export async function save(page, button, path) {
  const [download] = await Promise.all([page.waitForEvent('download'), page.click(button)]);
  await download.saveAs(path);
  return download.suggestedFilename();
}

/** The durations in ms that the page measured itself, the latest of a name. */
export function measured(page, name) {
  return page.evaluate((wanted) => performance.getEntriesByName(wanted).at(-1)?.duration, name);
}

/** Drops or pastes a file on the page. */
export async function transfer(page, event, path, type) {
  const base64 = path ? readFileSync(path).toString('base64') : null;
  await page.evaluate(
    async ([name, content, mime]) => {
      const data = new DataTransfer();
      if (content !== null) {
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        data.items.add(new File([bytes], 'given.jpg', { type: mime }));
      }
      const Kind = name === 'paste' ? ClipboardEvent : DragEvent;
      const key = name === 'paste' ? 'clipboardData' : 'dataTransfer';
      document.body.dispatchEvent(new Kind(name, { bubbles: true, cancelable: true, [key]: data }));
    },
    [event, base64, type],
  );
}
