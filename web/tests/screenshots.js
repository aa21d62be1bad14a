/** Takes the pictures of docs/web.md: `PAGE=http://localhost:8000/ node tests/screenshots.js`. */

import { join } from 'node:path';

import { launch, openPage, outcome } from './chromium.js';

const DOCS = join(import.meta.dirname, '..', '..', 'docs');
const SHOTS = [
  { name: 'web-desktop.png', viewport: { width: 1100, height: 760 }, style: 'overlay' },
  { name: 'web-phone.png', viewport: { width: 390, height: 844 }, style: 'openpose' },
];

const browser = await launch();
for (const { name, viewport, style } of SHOTS) {
  const { page } = await openPage(browser, process.env.PAGE, { viewport, deviceScaleFactor: 1 });
  await page.click('#example');
  await outcome(page);
  await page.check(`input[value=${style}]`);
  await page.evaluate(() => scrollTo(0, 0));
  await page.screenshot({ path: join(DOCS, name) });
}
await browser.close();
