// Uploads the files of an import: a few at once, with retries when the connection or the server fails.
// Uses XMLHttpRequest, since fetch does not report upload progress.

import { Problem, SIGNED_OUT, csrfToken, renewToken } from "./http.js";
import { forget, isLarge, ok, send, sendInParts } from "./resumable-upload.js";
import { t } from "./i18n.js";

const AT_ONCE = 2; // for all imports together: a browser opens six connections to a host
const MANY = 20; // when more files than this are waiting, small ones are sent together: up to this many and TOGETHER_BYTES
const TOGETHER_BYTES = 512 << 10;
const TRIES = 4;
const PAUSE_MS = 3000;
const LOST = t("Connection lost. Keep this page open; the upload resumes automatically.");
const BUSY = t("The server is busy. The upload resumes automatically in a moment.");

const waiting = [];
let open = AT_ONCE;

async function turn() {
  if (open > 0) open -= 1;
  else await new Promise((resolve) => waiting.push(resolve));
}

function next() {
  const resolve = waiting.shift();
  if (resolve) resolve();
  else open += 1;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const reachable = () => fetch("/healthz", { cache: "no-store" }).then((answer) => answer.ok, () => false);
const readable = (file) => file.slice(0, 1).arrayBuffer().then(() => true, () => false);

function problemIn(xhr) {
  let body = {};
  try { body = JSON.parse(xhr.responseText); } catch { /* not from the API: the status says enough */ }
  return new Problem({ detail: t("The server answered with an error ({status}).", { status: String(xhr.status) }), ...body, status: xhr.status });
}

export class Sender {
  /** `files` are {file, path}; `onChange` is called often. */
  constructor({ base, batch, files, onChange }) {
    Object.assign(this, { base, batch, onChange, total: files.length, sent: 0, note: "", stopped: false, over: false });
    this.bytes = { sent: 0, total: files.reduce((sum, { file }) => sum + file.size, 0) };
    this.queue = files.map((each, at) => ({ ...each, key: `${batch}:${at}:${Date.now()}` }));
    this.flying = new Map(); // path -> {loaded, size, entry}
    this.together = new Set(); // {loaded}, of requests with several files
    this.refused = []; // {file, path, problem}: the server never received them, so it cannot list them
  }

  async run() {
    await Promise.all(Array.from({ length: AT_ONCE }, () => this.#work()));
    this.over = true;
    this.note = "";
    this.onChange();
  }

  get loaded() {
    return [...this.flying.values(), ...this.together].reduce((sum, { loaded }) => sum + loaded, 0);
  }

  stop() {
    this.stopped = true;
    for (const { xhr } of [...this.flying.values(), ...this.together]) xhr?.abort();
  }

  /** A file that is being uploaded. */
  cancel(path) {
    const { entry, xhr } = this.flying.get(path) ?? {};
    if (!entry) return;
    entry.cancelled = true;
    this.flying.delete(path);
    // An upload that is just being created is deleted once its id is known: aborting the request would leave it on the server.
    if (entry.upload || !isLarge(entry.file)) {
      xhr?.abort();
      forget(entry);
    }
    this.bytes.total -= entry.file.size;
    this.onChange();
  }

  async #work() {
    while (!this.stopped && this.queue.length) {
      await turn();
      const entries = this.stopped ? [] : this.#taken();
      if (entries.length < 2 || !(await this.#deliverTogether(entries))) for (const entry of entries) await this.#deliver(entry);
      next();
    }
  }

  #taken() {
    let [count, size] = [0, 0];
    if (this.queue.length > MANY) while (count < MANY && (size += this.queue[count].file.size) <= TOGETHER_BYTES) count += 1;
    return this.queue.splice(0, Math.max(count, 1));
  }

  /** Return false if the files must be sent one by one, to find out which one is refused. */
  async #deliverTogether(entries) {
    const body = new FormData();
    for (const { file, path } of entries) {
      body.append("source_uri", path === file.name ? "" : path);
      body.append("file", file, file.name);
    }
    const size = entries.reduce((sum, { file }) => sum + file.size, 0);
    const state = { xhr: null, loaded: 0 };
    this.together.add(state);
    const onLoaded = (loaded) => { state.loaded = Math.min(loaded, size); this.onChange(); };
    const xhr = await send("POST", `/api/v1/imports/${this.batch}/items`, { body, type: "", state, onLoaded });
    this.together.delete(state);
    if (this.stopped || !ok(xhr)) return false;
    for (const entry of entries) this.#arrived(entry); // refused files are items of the import
    return true;
  }

  async #deliver(entry) {
    for (let tried = 1; !this.stopped && !entry.cancelled; tried += 1) {
      const xhr = await this.#send(entry);
      if (this.stopped || entry.cancelled) return;
      if (xhr.status >= 200 && xhr.status < 300) return this.#arrived(entry);
      if (!(await this.#worthAgain(entry, xhr, tried))) return;
    }
  }

  #arrived({ file }) {
    this.sent += 1;
    this.bytes.sent += file.size;
    this.note = "";
    this.onChange();
  }

  async #worthAgain(entry, xhr, tried) {
    if (xhr.status === 0) {
      if (!(await readable(entry.file))) return this.#refuse(entry, new Problem({ status: 1, code: "unreadable", detail: t("The file was changed, moved or deleted after you selected it. Select it again.") }));
      return this.#wait(LOST, reachable);
    }
    if (xhr.status === 401) return this.#wait(SIGNED_OUT, () => fetch("/api/v1/me").then((answer) => answer.ok, () => false));
    const problem = problemIn(xhr);
    const later = Number(xhr.getResponseHeader("Retry-After")) * 1000;
    if (problem.code === "rate_limited") return this.#wait(problem.message, () => true, later);
    if (tried < TRIES && xhr.status >= 500) return this.#wait(BUSY, () => true, later);
    // The offset differs from the server's, or the upload is gone: ask the server where to continue.
    if (entry.unlisted && tried < TRIES && [404, 409].includes(xhr.status)) return true;
    if (problem.code === "csrf_failed" && tried < TRIES) return renewToken().then(() => true, () => true);
    // The server has recorded any other refusal as an item of the import.
    if (entry.unlisted || xhr.status >= 500 || [403, 404, 429].includes(xhr.status)) return this.#refuse(entry, problem);
    this.#arrived(entry);
    return false;
  }

  async #wait(note, isOver, ms = 0) {
    this.note = note;
    this.onChange();
    do await pause(ms || PAUSE_MS); while (!this.stopped && !(await isOver()));
    this.note = "";
    this.onChange();
    return true;
  }

  #refuse({ file, path }, problem) {
    this.refused.push({ file, path, problem });
    this.onChange();
    return false;
  }

  async #send(entry) {
    const { file, path } = entry;
    const state = { xhr: null, loaded: 0, size: file.size, entry };
    this.flying.set(path, state);
    this.onChange();
    const { base, batch, onChange } = this;
    const xhr = await (isLarge(file) ? sendInParts(entry, { base, batch, state, onChange }) : this.#sendWhole(entry, state));
    this.flying.delete(path);
    return xhr;
  }

  #sendWhole({ file, path, key }, state) {
    const xhr = new XMLHttpRequest();
    state.xhr = xhr;
    const body = new FormData();
    body.append("import", this.batch);
    if (path !== file.name) body.append("source_uri", path);
    body.append("file", file, file.name);
    return new Promise((resolve) => {
      xhr.upload.onprogress = ({ loaded, total }) => { state.loaded = Math.min(loaded, total, file.size); this.onChange(); };
      xhr.onloadend = () => resolve(xhr);
      xhr.open("POST", `/api/v1/knowledge-bases/${this.base}/documents`);
      xhr.setRequestHeader("X-CSRFToken", csrfToken());
      xhr.setRequestHeader("Accept", "application/json");
      xhr.setRequestHeader("Idempotency-Key", key);
      xhr.send(body);
    });
  }
}
