// One file on its way in: its bytes by XMLHttpRequest (fetch cannot tell progress), then its job.

import { $, bytes, clone } from "./dom.js";
import { Problem, api, csrfToken } from "./http.js";
import { ENDED, line, watch } from "./jobs.js";

const AT_ONCE = 2;
const queue = [];
let active = 0;

function next() {
  while (active < AT_ONCE && queue.length) {
    active += 1;
    queue.shift()().finally(() => { active -= 1; next(); });
  }
}

export class Upload {
  constructor({ url, file, sourceUri, onEnd }) {
    Object.assign(this, { url, file, sourceUri, onEnd, job: null, xhr: null, ended: false });
    this.node = clone("upload-template");
    $(".upload-name", this.node).textContent = sourceUri ?? file.name;
    $('[data-act="cancel"]', this.node).addEventListener("click", () => this.cancel());
    $('[data-act="retry"]', this.node).addEventListener("click", () => this.retry());
    this.start();
  }

  start() {
    this.ended = false;
    this.show("waiting", `Waiting to be sent, ${bytes(this.file.size)}`, null);
    queue.push(() => this.send());
    next();
  }

  show(state, text, value) {
    this.node.dataset.state = state;
    $(".upload-state", this.node).textContent = text;
    const bar = $("progress", this.node);
    bar.hidden = ENDED.has(state);
    if (value === null) bar.removeAttribute("value");
    else bar.value = value;
    $('[data-act="cancel"]', this.node).hidden = ENDED.has(state);
    $('[data-act="retry"]', this.node).hidden = !["failed", "cancelled"].includes(state);
    $(".error-text", this.node).hidden = true;
  }

  send() {
    if (this.ended) return Promise.resolve();
    const xhr = (this.xhr = new XMLHttpRequest());
    const body = new FormData();
    body.append("file", this.file);
    if (this.sourceUri) body.append("source_uri", this.sourceUri);
    return new Promise((resolve) => {
      xhr.upload.onprogress = ({ loaded, total }) => this.show("sending", loaded < total ? `Sending ${bytes(loaded)} of ${bytes(total)}` : "Checking the file…", loaded / total);
      xhr.onload = () => resolve(this.answered());
      xhr.onerror = () => resolve(this.fail(new Problem()));
      xhr.onabort = () => resolve(this.end("cancelled", "Cancelled"));
      xhr.open("POST", this.url);
      xhr.setRequestHeader("X-CSRFToken", csrfToken());
      xhr.setRequestHeader("Accept", "application/json");
      xhr.send(body);
    });
  }

  answered() {
    let body = {};
    try { body = JSON.parse(this.xhr.responseText); } catch { /* not from the API: the status says enough */ }
    if (this.xhr.status >= 400 || this.xhr.status === 0) return this.fail(new Problem({ detail: `The server refused the file (${this.xhr.status}).`, ...body, status: this.xhr.status }));
    if (!body.job) return this.end("ready", "Already here, unchanged");
    return this.follow(body.job);
  }

  follow(job) {
    this.job = typeof job === "string" ? job : job.id;
    this.show("queued", "Waiting", null);
    watch(this.job, (news) => this.progress(news));
  }

  progress(job) {
    if (job.stage === "failed") this.fail(new Problem({ ...job.error, detail: job.error?.message, status: 1 }));
    else if (ENDED.has(job.stage)) this.end(job.stage, line(job));
    else this.show(job.stage, line(job), job.total ? job.done / job.total : null);
  }

  fail(problem) {
    this.end("failed", problem.code && problem.code !== "network" ? `Failed (${problem.code})` : "Failed");
    Object.assign($(".error-text", this.node), { textContent: problem.message, hidden: false });
  }

  end(state, text) {
    this.ended = true;
    this.show(state, text, 1);
    this.onEnd(this, state);
  }

  async cancel() {
    if (this.job) await api("POST", `/api/v1/jobs/${this.job}/cancel`).catch((error) => this.fail(error));
    else if (this.xhr && this.xhr.readyState < 4) this.xhr.abort();
    else this.end("cancelled", "Cancelled");
  }

  async retry() {
    if (!this.job) { this.start(); return; }
    try {
      await api("POST", `/api/v1/jobs/${this.job}/retry`);
      this.ended = false;
      this.follow(this.job);
    } catch (error) {
      this.fail(error);
    }
  }
}
