// A knowledge base: uploading files, following imports, and actions on its documents.

import { $, bytes, clone, el, toast } from "./dom.js";
import { api } from "./http.js";
import { wireDocuments } from "./documents.js";
import { chosen, dropped } from "./dropped-files.js";
import { ImportView } from "./imports.js";
import { throttled } from "./streams.js";
import { t, tn } from "./i18n.js";

const REFRESH_MS = 2500;
const MOUNTED = 5;
const drop = $("#drop");
const views = new Map(); // import id -> view
let replacing = null;

const base = () => $("#knowledge-base").dataset.knowledgeBase;
const changed = throttled(REFRESH_MS, () => document.body.dispatchEvent(new CustomEvent("documents-changed")));

function mount(batch) {
  const node = clone("import-template");
  $("#imports").prepend(node);
  const view = new ImportView(node, batch, { onChange: progressed });
  views.set(batch.id, view);
  return view;
}

function progressed() {
  changed();
  discover();
}

/** An archive, or another person's folder, is an import of its own. */
const discover = throttled(REFRESH_MS * 2, async () => {
  const { items } = await api("GET", `/api/v1/knowledge-bases/${base()}/imports?limit=${MOUNTED}`).catch(() => ({ items: [] }));
  for (const batch of items.reverse()) if (!views.has(batch.id) && ["receiving", "processing"].includes(batch.state)) mount(batch);
});

// Uploading ---------------------------------------------------------------------------------------

function leftOut({ hidden, unread }, tooLarge, limit) {
  const lines = tooLarge.map(({ file, path }) => t("{name} is {size}; the limit is {limit}. Split it and upload the parts.", { name: path, size: bytes(file.size), limit: bytes(limit) }));
  if (unread.length) lines.push(t("Couldn’t read {names}. Select it again.", { names: unread.join(", ") }));
  if (hidden) lines.push(tn("{n} hidden file (name starting with a dot) was skipped.", "{n} hidden files (names starting with a dot) were skipped.", hidden));
  $("#left-out ul").replaceChildren(...lines.map((text) => el("li", { text })));
  $("#left-out").hidden = lines.length === 0;
}

async function bring(choice) {
  const limit = Number(drop.dataset.maxBytes);
  const fits = choice.files.filter(({ file }) => file.size <= limit);
  leftOut(choice, choice.files.filter(({ file }) => file.size > limit), limit);
  if (!fits.length) {
    if (!choice.files.length && !choice.unread.length) toast(t("No files found."));
    return;
  }
  try {
    const batch = await api("POST", `/api/v1/knowledge-bases/${base()}/imports`, { label: choice.label.slice(0, 255), files: fits.length });
    const view = mount(batch);
    view.node.scrollIntoView({ block: "nearest" });
    view.send(fits);
  } catch (error) {
    toast(error.message);
  }
}

function wireUploads() {
  const inputs = { files: $("#files"), folder: $("#folder"), replacement: $("#replacement") };
  $("#choose-files").addEventListener("click", () => inputs.files.click());
  $("#choose-folder").addEventListener("click", () => inputs.folder.click());
  for (const [name, input] of Object.entries(inputs)) {
    input.addEventListener("change", () => {
      const choice = chosen(input.files, name === "replacement" ? replacing : undefined);
      input.value = "";
      bring(choice);
    });
  }
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-replace]");
    if (!button) return;
    replacing = button.dataset.replace || button.dataset.name;
    inputs.replacement.click();
  });
  $("#left-out button").addEventListener("click", () => { $("#left-out").hidden = true; $("#choose-files").focus(); });
  window.addEventListener("beforeunload", (event) => { if ([...views.values()].some((view) => view.busy)) event.preventDefault(); });
  wireDrop();
}

function wireDrop() {
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const over = (by) => { depth = Math.max(depth + by, 0); drop.toggleAttribute("data-over", depth > 0); };
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) over(1); });
  document.addEventListener("dragleave", (event) => { if (carriesFiles(event)) over(-1); });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    over(-depth);
    dropped(event.dataTransfer.items).then(bring);
  });
}

if (drop) {
  wireUploads();
  for (const batch of JSON.parse(document.getElementById("open-imports").textContent)) mount(batch);
}
$("#filters").addEventListener("submit", (event) => event.preventDefault());
wireDocuments({ list: $("#documents"), changed });
