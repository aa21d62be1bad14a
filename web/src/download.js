/** Fetching the page's own large files: with progress, and checked before they are used. */

/**
 * Fetches files one after the other.
 *
 * @param {Array<{url: URL, bytes: number, sha256: string}>} files - What the build wrote down.
 * @param {(loadedBytes: number, allBytes: number) => void} onProgress
 * @returns {Promise<Uint8Array[]>} Their bytes, in the same order.
 * @throws {Error} One cannot be had, or is not the file that was built.
 */
export async function download(files, onProgress) {
  const all = files.reduce((sum, file) => sum + file.bytes, 0);
  let before = 0;
  const contents = [];
  for (const file of files) {
    contents.push(await downloadOne(file, (loaded) => onProgress(before + loaded, all)));
    before += file.bytes;
  }
  return contents;
}

async function downloadOne({ url, bytes, sha256 }, onLoaded) {
  const name = url.pathname.split('/').pop();
  const response = await fetch(url).catch((error) => {
    throw new Error(`${name} could not be loaded: is the server still there? (${error.message})`);
  });
  if (!response.ok) {
    throw new Error(
      `${name} could not be loaded: the server answered ${response.status} ${response.statusText}`,
    );
  }
  const content = new Uint8Array(bytes);
  let loaded = 0;
  for await (const chunk of chunksOf(response, name)) {
    if (loaded + chunk.length > bytes) throw wrongFile(name);
    content.set(chunk, loaded);
    loaded += chunk.length;
    onLoaded(loaded);
  }
  if (loaded !== bytes || !(await hasHash(content, sha256))) throw wrongFile(name);
  return content;
}

/** Not `for await` over the body itself, which Safari does not know. */
async function* chunksOf(response, name) {
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await reader.read().catch((error) => {
      throw new Error(`Loading ${name} broke off (${error.message}). Try again.`);
    });
    if (done) return;
    yield value;
  }
}

/** Browsers hash only on https and localhost; elsewhere the length has to do. */
async function hasHash(content, sha256) {
  if (!globalThis.crypto?.subtle) return true;
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', content));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('') === sha256;
}

function wrongFile(name) {
  return new Error(
    `${name} is not the file that this page was built with. Reload the page without its cache ` +
      '(Ctrl+Shift+R, on a Mac Cmd+Shift+R); if that does not help, the copy on the server is damaged.',
  );
}
