// What can be done with a document that is here, on its page and in the list.

import { $, $$, confirmed, toast } from "./dom.js";
import { api } from "./http.js";
import { ENDED, line, watch } from "./jobs.js";

const watched = new Set();

function follow(node, changed) {
  const { job } = node.dataset;
  if (!job || watched.has(job)) return;
  watched.add(job);
  watch(job, (news) => {
    for (const holder of $$(`[data-job="${job}"]`)) {
      const progress = $("[data-progress]", holder);
      if (progress) progress.textContent = ENDED.has(news.stage) ? "" : ` ${line(news)}`;
    }
    if (ENDED.has(news.stage)) { watched.delete(job); changed(); }
  });
}

async function erase(button, changed) {
  const { erase: id, title } = button.dataset;
  const sure = await confirmed({ title: `Delete “${title}”?`, text: "The file, its text and every quote of it are erased. The very next question no longer finds it. There is no way back.", yes: "Delete" });
  if (!sure) return;
  await api("DELETE", `/api/v1/documents/${id}`);
  toast(`“${title}” is deleted.`);
  changed({ erased: id });
}

async function act(event, changed) {
  const on = (name) => event.target.closest(`[data-${name}]`);
  const job = on("retry-job")?.dataset.retryJob ?? on("cancel-job")?.dataset.cancelJob;
  try {
    if (on("erase")) await erase(on("erase"), changed);
    else if (job) { await api("POST", `/api/v1/jobs/${job}/${on("retry-job") ? "retry" : "cancel"}`); changed({}); }
  } catch (error) {
    toast(error.message);
  }
}

export function wireDocuments({ root, changed }) {
  document.addEventListener("click", (event) => act(event, changed));
  const followAll = () => { for (const node of $$("[data-moving][data-job]")) follow(node, changed); };
  root?.addEventListener("htmx:afterSettle", followAll);
  followAll();
}
