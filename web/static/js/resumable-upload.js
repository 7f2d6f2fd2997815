// Upload of a large file in parts. Parts that have arrived survive a lost connection or a closed page.

import { csrfToken } from "./http.js";

const PART = 8 << 20;

/** Smaller for tests, which set it on the page. */
const part = () => Number(document.documentElement.dataset.partBytes) || PART;
export const isLarge = (file) => file.size > part();

/** Recognises the file when it is chosen again. */
const fingerprint = ({ file, path }) => `${path.slice(-120)}:${file.size}:${file.lastModified}`;

export const ok = (xhr) => xhr.status >= 200 && xhr.status < 300;
const bodyOf = (xhr) => { try { return JSON.parse(xhr.responseText); } catch { return {}; } };

export function send(method, url, { body = null, type = "application/json", state, onLoaded = () => {} }) {
  const xhr = new XMLHttpRequest();
  state.xhr = xhr;
  return new Promise((resolve) => {
    xhr.upload.onprogress = ({ loaded }) => onLoaded(loaded);
    xhr.onloadend = () => resolve(xhr);
    xhr.open(method, url);
    xhr.setRequestHeader("X-CSRFToken", csrfToken());
    xhr.setRequestHeader("Accept", "application/json");
    if (body !== null && type) xhr.setRequestHeader("Content-Type", type); // for a form, the browser sets it
    xhr.send(body);
  });
}

/** The upload to continue: this page's, one that another page began, or a new one. */
async function begun(entry, { base, batch, state }) {
  const { file, path, upload } = entry;
  if (upload) {
    const now = await send("GET", `/api/v1/uploads/${upload.id}`, { state });
    if (now.status !== 404) return now;
  } else {
    const mine = await send("GET", `/api/v1/uploads?knowledge_base=${base}`, { state });
    if (!ok(mine)) return mine;
    const found = bodyOf(mine).items.find((each) => each.fingerprint === fingerprint(entry) && each.import === batch);
    if (found) return send("GET", `/api/v1/uploads/${found.id}`, { state });
  }
  const said = { knowledge_base: base, filename: file.name, size: file.size, fingerprint: fingerprint(entry), import: batch };
  if (path !== file.name) said.source_uri = path;
  return send("POST", "/api/v1/uploads", { body: JSON.stringify(said), state });
}

/** Return the last response: to the completed upload, or to the request that failed. */
export async function sendInParts(entry, { base, batch, state, onChange }) {
  const { file } = entry;
  entry.unlisted = false; // the server records a refusal here as an item of the import
  const first = await begun(entry, { base, batch, state });
  if (!ok(first)) return first;
  entry.unlisted = true;
  entry.upload = bodyOf(first);
  if (entry.cancelled) {
    forget(entry);
    return first;
  }
  state.resumed = entry.upload.offset;
  state.began = Date.now();
  while (entry.upload.offset < file.size) {
    const { id, offset } = entry.upload;
    state.loaded = offset;
    onChange();
    const onLoaded = (loaded) => { state.loaded = Math.min(offset + loaded, file.size); onChange(); };
    const xhr = await send("PATCH", `/api/v1/uploads/${id}?offset=${offset}`, { body: file.slice(offset, offset + part()), type: "application/octet-stream", state, onLoaded });
    if (!ok(xhr)) return xhr;
    entry.upload = bodyOf(xhr);
  }
  entry.unlisted = false;
  state.loaded = file.size;
  onChange();
  return send("POST", `/api/v1/uploads/${entry.upload.id}/complete`, { state });
}

/** Delete the parts now; the server would delete them after a day. */
export function forget({ upload }) {
  if (upload) send("DELETE", `/api/v1/uploads/${upload.id}`, { state: {} });
}
