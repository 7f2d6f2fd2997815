// A knowledge base's documents: dropping files in, watching them, replacing and deleting.

import { $, $$, plural } from "./dom.js";
import { wireDocuments } from "./documents.js";
import { Upload } from "./uploads.js";

const drop = $("#drop");
const list = $("#uploads");
const uploads = new Set();
let replacing = null;
let refresh = 0;

function changed() {
  clearTimeout(refresh);
  refresh = setTimeout(() => document.body.dispatchEvent(new CustomEvent("documents-changed")), 400);
}

function ended(upload, state) {
  changed();
  const open = [...uploads].filter((other) => !other.ended).length;
  $("#upload-announce").textContent = `${upload.file.name}: ${state}. ${open ? `${plural(open, "file")} to go.` : "All done."}`;
  $("#uploads-tools").hidden = ![...uploads].some((other) => other.ended);
}

function add(file, sourceUri) {
  const url = `/api/v1/knowledge-bases/${$("#knowledge-base").dataset.knowledgeBase}/documents`;
  const upload = new Upload({ url, file, sourceUri, onEnd: ended });
  uploads.add(upload);
  list.hidden = false;
  list.append(upload.node);
}

const hidden = (path) => path.split("/").some((part) => part.startsWith("."));

/** Files below a dropped folder, with their paths in it. */
async function* walk(entry, path = "") {
  if (entry.isFile) {
    yield [await new Promise((resolve, reject) => entry.file(resolve, reject)), path ? path + entry.name : undefined];
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // readEntries gives at most a hundred at a time.
    const entries = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!entries.length) return;
    for (const child of entries) yield* walk(child, `${path}${entry.name}/`);
  }
}

async function dropped(items) {
  // Entries must be taken before the first await: the list is emptied after the event.
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  for (const entry of entries) for await (const [file, path] of walk(entry)) if (!hidden(path ?? file.name)) add(file, path);
}

function wireUploads() {
  const files = $("#files");
  const folder = $("#folder");
  const replacement = $("#replacement");
  $("#choose-files").addEventListener("click", () => files.click());
  $("#choose-folder").addEventListener("click", () => folder.click());
  files.addEventListener("change", () => { for (const file of files.files) add(file); files.value = ""; });
  folder.addEventListener("change", () => { for (const file of folder.files) if (!hidden(file.webkitRelativePath)) add(file, file.webkitRelativePath); folder.value = ""; });
  replacement.addEventListener("change", () => { for (const file of replacement.files) add(file, replacing); replacement.value = ""; });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-replace]");
    if (!button) return;
    replacing = button.dataset.replace || button.dataset.name;
    replacement.click();
  });
  $("#clear-uploads").addEventListener("click", () => {
    for (const upload of uploads) if (upload.ended) { upload.node.remove(); uploads.delete(upload); }
    list.hidden = uploads.size === 0;
    $("#uploads-tools").hidden = true;
    $("#choose-files").focus();
  });
  wireDrop();
  window.addEventListener("beforeunload", (event) => { if ([...uploads].some((upload) => !upload.job && !upload.ended)) event.preventDefault(); });
}

function wireDrop() {
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  document.addEventListener("dragenter", (event) => { if (carriesFiles(event)) { depth += 1; drop.dataset.over = ""; } });
  document.addEventListener("dragleave", (event) => { if (carriesFiles(event) && (depth -= 1) <= 0) { depth = 0; delete drop.dataset.over; } });
  document.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth = 0;
    delete drop.dataset.over;
    dropped(event.dataTransfer.items);
  });
}

if (drop) wireUploads();
$("#filters").addEventListener("submit", (event) => event.preventDefault());
wireDocuments({ root: $("#documents"), changed, isBusy: () => $$(".upload").length > 0 });
