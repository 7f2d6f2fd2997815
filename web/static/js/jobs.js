// The state of a document's processing, in words.

import { follow } from "./streams.js";
import { t, tn } from "./i18n.js";

export const ENDED = new Set(["ready", "failed", "cancelled"]);

const DOING = { queued: t("Waiting"), parsing: t("Reading"), chunking: t("Splitting into passages"), embedding: t("Embedding"), indexing: t("Indexing"), ready: t("Ready"), failed: t("Failed"), cancelled: t("Cancelled") };

export const watch = (id, onJob, onLost) => follow(`/api/v1/jobs/${id}/events`, "progress", onJob, (job) => ENDED.has(job.stage), onLost);

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(Math.round(seconds), 1)} s`;
  return seconds < 5400 ? tn("{n} minute", "{n} minutes", Math.round(seconds / 60)) : tn("{n} hour", "{n} hours", Math.round(seconds / 3600));
}

/** `timed`: include the speed and the remaining time. */
export function line(job, { timed = true } = {}) {
  if (ENDED.has(job.stage)) return DOING[job.stage];
  if (job.stage === "queued" && job.retry_at) return t("Waiting to retry");
  if (job.stage === "queued" && job.queue_position) return [t("Number {n} in the queue", { n: job.queue_position }), timed && job.eta_s > 5 ? t("ready in about {time}", { time: duration(job.eta_s) }) : ""].filter(Boolean).join(", ");
  const doing = DOING[job.stage];
  return [
    job.total ? t("{doing} {done} of {total}", { doing, done: job.done, total: job.total }) : doing,
    timed && job.rate >= 1 ? t("{n} per second", { n: Math.round(job.rate) }) : "",
    timed && job.eta_s > 5 ? t("about {time} left", { time: duration(job.eta_s) }) : "",
  ].filter(Boolean).join(", ");
}
