/**
 * Uses the page /docs of dwpose-serve as a person would: gives the token, sends a photo, looks at
 * the drawing. Fails where the page asks another host or says an error.
 *
 * `PAGE=http://127.0.0.1:8000/docs PHOTO=a.jpg TOKEN=... PICTURE=docs/serve-docs.png node tests/serve_docs.js`
 */

import assert from 'node:assert/strict';

import { launch, watch } from './chromium.js';

const { PAGE, PHOTO, TOKEN, PICTURE } = process.env;
const browser = await launch();
const { page, problems } = await watch(browser, PAGE, {
  viewport: { width: 1100, height: 1300 },
  deviceScaleFactor: 1,
});
await page.goto(PAGE);
if (TOKEN) {
  await page.click('.auth-wrapper .authorize');
  await page.fill('.auth-container input', TOKEN);
  await page.click('.auth-btn-wrapper .authorize');
  await page.click('.auth-btn-wrapper .btn-done');
}
await page.click('#operations-default-predict_v1_predict_post .opblock-summary-control');
await page.click('.try-out__btn');
await page.selectOption('tr[data-param-name=draw] select', 'overlay');
await page.setInputFiles('.opblock-section-request-body input[type=file]', PHOTO);
await page.click('.execute');
const drawn = page.locator('.live-responses-table img');
await drawn.waitFor();
assert.equal(await page.textContent('.live-responses-table .response .response-col_status'), '200');
assert.ok(await drawn.evaluate(async (image) => (await image.decode(), image.naturalWidth > 0)));
assert.deepEqual(problems, []);
if (PICTURE) {
  await page.locator('.opblock-section-request-body').evaluate((part) => part.scrollIntoView());
  await page.screenshot({ path: PICTURE });
}
await browser.close();
