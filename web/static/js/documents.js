// Actions on a document, on its page and in the list.

import { $, $$, confirmed, toast } from "./dom.js";
import { api } from "./http.js";
import { ENDED, line, watch } from "./jobs.js";
import { follow } from "./streams.js";
import { t } from "./i18n.js";

function tell(id, text) {
  for (const holder of $$(`[data-job="${id}"] [data-progress]`)) holder.textContent = text;
}

/** One stream for a whole list: its running jobs, and those that are next. */
function followList(changed) {
  let before = new Set();
  follow("/api/v1/jobs/events", "queue", ({ jobs }) => {
    const now = new Set(jobs.map((job) => job.id));
    for (const job of jobs) tell(job.id, ` ${line(job).replace("Waiting, ", "")}`);
    const shown = $$("[data-moving][data-job]").map((row) => row.dataset.job);
    if (shown.some((id) => before.has(id) && !now.has(id))) changed({});
    before = now;
  }, () => false, (why) => { for (const row of $$("[data-moving][data-job]")) tell(row.dataset.job, ` ${why}`); });
}

function followOne(node, changed) {
  watch(node.dataset.job, (job) => {
    tell(job.id, ENDED.has(job.stage) ? "" : ` ${line(job)}`);
    if (ENDED.has(job.stage)) changed({});
  }, (why) => tell(node.dataset.job, ` ${why}`));
}

async function erase(button, changed) {
  const { erase: id, title } = button.dataset;
  const sure = await confirmed({ title: t("Delete “{title}”?", { title }), text: t("The file, its text and all quotes from it are deleted immediately. This can’t be undone."), yes: t("Delete") });
  if (!sure) return;
  await api("DELETE", `/api/v1/documents/${id}`);
  toast(t("Deleted “{title}”.", { title }));
  changed({ erased: id });
}

async function act(event, changed) {
  const on = (name) => event.target.closest(`[data-${name}]`);
  const job = on("retry-job")?.dataset.retryJob ?? on("cancel-job")?.dataset.cancelJob;
  try {
    if (on("erase")) await erase(on("erase"), changed);
    else if (job) { await api("POST", `/api/v1/jobs/${job}/${on("retry-job") ? "retry" : "cancel"}`); changed({ [on("retry-job") ? "retried" : "cancelled"]: job }); }
  } catch (error) {
    toast(error.message);
  }
}

/** `list`: the element with many documents. */
export function wireDocuments({ list = null, changed }) {
  document.addEventListener("click", (event) => act(event, changed));
  const moving = $("[data-moving][data-job]");
  if (list) followList(changed);
  else if (moving) followOne(moving, changed);
}
