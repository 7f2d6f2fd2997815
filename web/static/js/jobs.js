// How work on a document stands, in words.

import { plural } from "./dom.js";
import { follow } from "./streams.js";

export const ENDED = new Set(["ready", "failed", "cancelled"]);

const DOING = { queued: "Waiting", parsing: "Reading", chunking: "Cutting into passages", embedding: "Embedding", indexing: "Indexing", ready: "Ready", failed: "Failed", cancelled: "Cancelled" };

export const watch = (id, onJob) => follow(`/api/v1/jobs/${id}/events`, "progress", onJob, (job) => ENDED.has(job.stage));

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  return seconds < 5400 ? plural(Math.round(seconds / 60), "minute") : plural(Math.round(seconds / 3600), "hour");
}

export function line(job) {
  if (ENDED.has(job.stage)) return DOING[job.stage];
  if (job.stage === "queued" && job.retry_at) return "Waiting for another try";
  if (job.stage === "queued" && job.queue_position) return `Waiting, number ${job.queue_position.toLocaleString()} in the queue${job.eta_s > 5 ? `, done in about ${duration(job.eta_s)}` : ""}`;
  const counted = job.total ? ` ${job.done.toLocaleString()} of ${job.total.toLocaleString()}` : "";
  const rate = job.rate >= 1 ? `, ${Math.round(job.rate).toLocaleString()} per second` : "";
  const left = job.eta_s > 5 ? `, about ${duration(job.eta_s)} left` : "";
  return DOING[job.stage] + counted + rate + left;
}
