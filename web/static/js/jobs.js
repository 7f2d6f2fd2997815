// Following jobs: a few by server-sent events, the rest by asking for the list now and then, because a
// browser allows only six connections to one host.

import { api } from "./http.js";
import { plural } from "./dom.js";

const STREAMS = 3;
const EVERY_MS = 2500;
export const ENDED = new Set(["ready", "failed", "cancelled"]);

const waiting = new Map(); // job id -> callbacks
const streams = new Map(); // job id -> EventSource
let timer = 0;

export function watch(id, onJob) {
  waiting.set(id, [...(waiting.get(id) ?? []), onJob]);
  fill();
}

function fill() {
  for (const id of waiting.keys()) {
    if (streams.size >= STREAMS) break;
    if (!streams.has(id)) stream(id);
  }
  if (waiting.size > streams.size && !timer) timer = setTimeout(poll, EVERY_MS);
}

function stream(id) {
  const source = new EventSource(`/api/v1/jobs/${id}/events`);
  streams.set(id, source);
  source.addEventListener("progress", (event) => tell(JSON.parse(event.data)));
  source.onerror = () => check(id, source);
}

// The server closes a stream when the job ends; a broken one is asked after once, then left to polling.
async function check(id, source) {
  source.close();
  streams.delete(id);
  try {
    tell(await api("GET", `/api/v1/jobs/${id}`));
  } catch (error) {
    if (error.status === 404) waiting.delete(id);
  }
  if (waiting.has(id) && !timer) timer = setTimeout(poll, EVERY_MS);
}

async function poll() {
  timer = 0;
  try {
    for (const id of [...waiting.keys()].filter((key) => !streams.has(key)).slice(0, 20)) tell(await api("GET", `/api/v1/jobs/${id}`));
  } catch { /* asked again at the next turn */ }
  fill();
}

function tell(job) {
  for (const onJob of waiting.get(job.id) ?? []) onJob(job);
  if (!ENDED.has(job.stage)) return;
  waiting.delete(job.id);
  streams.get(job.id)?.close();
  streams.delete(job.id);
  fill();
}

const DOING = { queued: "Waiting", parsing: "Reading", chunking: "Cutting into passages", embedding: "Embedding", indexing: "Indexing", ready: "Ready", failed: "Failed", cancelled: "Cancelled" };

export function line(job) {
  const counted = job.total ? ` ${job.done.toLocaleString()} of ${job.total.toLocaleString()}` : "";
  if (job.stage === "queued" && job.queue_position) return `Waiting, number ${job.queue_position} in the queue`;
  const left = job.eta_s > 5 && !ENDED.has(job.stage) ? `, ${duration(job.eta_s)} left` : "";
  return DOING[job.stage] + (ENDED.has(job.stage) ? "" : counted) + left;
}

const duration = (seconds) => (seconds < 90 ? plural(Math.round(seconds), "second") : plural(Math.round(seconds / 60), "minute"));
