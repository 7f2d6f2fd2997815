// Files attached to the conversation: chosen, dropped or pasted, uploaded, followed until they are ready, and removed.

import { $, announce, bytes, confirmed, el, icon, toast } from "./dom.js";
import { Problem, api } from "./http.js";
import { draft, isTemporary } from "./drafts.js";
import { dropped } from "./dropped-files.js";
import { line } from "./jobs.js";
import { ok, send } from "./resumable-upload.js";
import { t, tn } from "./i18n.js";

const MOST = 10;
const LOOK_MS = 1000;
const AT_ONCE = 2;
const UNFINISHED = new Set(["waiting", "uploading", "queued", "processing"]);
const main = $("#main");
const list = $("#attached");
const button = $("#attach");
const files = []; // {name, size, file, id, state, note, error, xhr, told}
const address = () => `/api/v1/conversations/${main.dataset.conversation}/files`;
let opening = null;
let timer = 0;
let waiters = [];

const unfinished = () => files.filter(({ state }) => UNFINISHED.has(state));

// The list --------------------------------------------------------------------------------------------------------

function describe(entry) {
  if (entry.state === "failed") return entry.error;
  if (entry.state === "waiting") return t("Waiting");
  if (entry.state === "uploading") return t("Uploading, {percent} %", { percent: Math.round((100 * entry.loaded) / Math.max(entry.size, 1)) });
  return entry.state === "ready" ? bytes(entry.size) : entry.note;
}

function draw(entry) {
  if (!entry.node) {
    const remove = el("button", { type: "button", class: "chip-remove", "aria-label": t("Remove {name}", { name: entry.name }), onclick: () => removed(entry) }, icon("close"));
    entry.label = el("span", { class: "attached-note" });
    entry.place = el("span", { class: "attached-name truncate", text: entry.name });
    entry.node = el("li", { class: "chip attached-file" }, icon("doc"), el("span", { class: "attached-text" }, entry.place, entry.label), remove);
    list.append(entry.node);
  }
  entry.node.dataset.state = entry.state;
  entry.label.textContent = describe(entry);
  if (entry.state === "ready" && entry.place.tagName !== "A") {
    const link = el("a", { class: "attached-name truncate", href: `/library/documents/${entry.id}`, target: "_blank", rel: "noopener", text: entry.name });
    entry.place.replaceWith(link);
    entry.place = link;
  }
  list.hidden = files.length === 0;
}

function changed(entry, state, fields = {}) {
  const was = entry.state;
  Object.assign(entry, { state }, fields);
  draw(entry);
  if (was !== state && state === "ready") announce(t("{name} is ready.", { name: entry.name }));
  if (was !== state && state === "failed") announce(t("{name} can’t be used. {reason}", { name: entry.name, reason: entry.error }));
  if (!unfinished().length) for (const resolve of waiters.splice(0)) resolve();
}

function dropEntry(entry) {
  const at = files.indexOf(entry);
  if (at < 0) return;
  const hadFocus = entry.node?.contains(document.activeElement);
  files.splice(at, 1);
  entry.node?.remove();
  list.hidden = files.length === 0;
  if (hadFocus) ($(".chip-remove", files[Math.min(at, files.length - 1)]?.node ?? list) ?? $("#question")).focus();
  if (!unfinished().length) for (const resolve of waiters.splice(0)) resolve();
}

async function removed(entry) {
  if (entry.id && $("#turns .turn") && !(await confirmed({ title: t("Remove “{name}”?", { name: entry.name }), text: t("It’s erased. Answers that quote it are hidden."), yes: t("Remove") }))) return;
  entry.xhr?.abort();
  dropEntry(entry);
  announce(t("{name} was removed.", { name: entry.name }));
  if (!entry.id) return;
  try {
    await api("DELETE", `${address()}/${entry.id}`);
  } catch (error) {
    if (error.status !== 404) toast(error.message);
    look();
  }
}

// Uploading -------------------------------------------------------------------------------------------------------

/** Files need a conversation, also before the first question. */
async function openConversation() {
  if (main.dataset.conversation) return;
  opening ??= api("POST", "/api/v1/conversations", { temporary: isTemporary() }).finally(() => { opening = null; });
  const { id } = await opening;
  if (main.dataset.conversation) return;
  const text = draft.read();
  draft.keep("");
  Object.assign(main.dataset, { conversation: id, unasked: "" });
  if (text) draft.keep(text);
  lockTemporary();
  if (isTemporary()) $("#temporary-note").open = false;
  else if (!main.dataset.assistant) history.replaceState(null, "", `/conversations/${id}`); // reloading keeps the files
}

/** Whether a chat is temporary is settled with its first file. */
function lockTemporary() {
  const box = $("#temporary");
  if (box) box.disabled = true;
}

function problemIn(xhr) {
  let body = {};
  try { body = JSON.parse(xhr.responseText); } catch { /* not from the API */ }
  const detail = xhr.status ? t("The server answered with an error ({status}).", { status: String(xhr.status) }) : "";
  return new Problem({ detail, ...body, status: xhr.status });
}

async function upload(entry) {
  const body = new FormData();
  body.append("file", entry.file, entry.name);
  changed(entry, "uploading", { loaded: 0 });
  const xhr = await send("POST", address(), { body, type: "", state: entry, onLoaded: (loaded) => { entry.loaded = Math.min(loaded, entry.size); draw(entry); } });
  entry.xhr = null;
  if (!files.includes(entry)) {
    if (ok(xhr)) api("DELETE", `${address()}/${JSON.parse(xhr.responseText).id}`).catch(() => {}); // removed while it arrived
    return;
  }
  if (!ok(xhr)) {
    changed(entry, "failed", { error: problemIn(xhr).message });
    return;
  }
  const found = JSON.parse(xhr.responseText);
  const same = files.find((other) => other !== entry && other.id === found.id);
  if (same) dropEntry(same); // a new version of it
  take(entry, found);
  watch();
}

async function sendAll(entries) {
  const queue = [...entries];
  const work = async () => {
    for (let entry = queue.shift(); entry; entry = queue.shift()) if (files.includes(entry)) await upload(entry);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
}

async function attach(given) {
  const limit = Number(button.dataset.maxBytes);
  const room = Math.max(MOST - files.filter(({ state }) => state !== "failed").length, 0);
  if (given.length > room) toast(tn("A conversation can have up to {most} files. {n} file wasn’t attached.", "A conversation can have up to {most} files. {n} files weren’t attached.", given.length - room, { most: MOST }));
  const entries = given.slice(0, room).map((file) => ({ name: file.name, size: file.size, file, state: "waiting" }));
  files.push(...entries);
  for (const entry of entries) {
    if (entry.size > limit) changed(entry, "failed", { error: t("It’s {size}; the limit is {limit}.", { size: bytes(entry.size), limit: bytes(limit) }) });
    else draw(entry);
  }
  const fits = entries.filter(({ state }) => state === "waiting");
  if (!fits.length) return;
  announce(tn("Attaching {name}.", "Attaching {n} files.", fits.length, { name: fits[0].name }));
  try {
    await openConversation();
    await sendAll(fits);
  } catch (error) {
    for (const entry of fits) if (entry.state === "waiting") changed(entry, "failed", { error: error.message });
  }
}

// Progress --------------------------------------------------------------------------------------------------------

function take(entry, found) {
  entry.id = found.id;
  changed(entry, found.status, { note: found.job ? line(found.job) : t("Processing"), error: found.error?.message ?? "" });
}

/** Compare with the server's list: another tab may have attached or removed some. */
async function look() {
  if (!main.dataset.conversation) return;
  const { items } = await api("GET", address());
  for (const found of items) {
    let entry = files.find(({ id }) => id === found.id);
    if (!entry && files.some(({ state, name }) => state === "uploading" && name === found.name)) continue;
    if (!entry) files.push(entry = { name: found.name, size: found.size });
    take(entry, found);
  }
  const known = new Set(items.map(({ id }) => id));
  for (const entry of files.filter(({ id }) => id && !known.has(id))) dropEntry(entry);
}

function watch() {
  clearTimeout(timer);
  timer = setTimeout(async () => {
    await look().catch((error) => {
      if (error.status === 404) for (const entry of [...files]) dropEntry(entry); // the conversation was deleted
    });
    if (unfinished().some(({ id }) => id)) watch();
  }, LOOK_MS);
}

/** Wait until all files are ready. Returns false if one failed, of which the asker is told once. */
export async function filesReady() {
  if (unfinished().length) {
    $("#composer").dataset.waiting = "";
    announce(t("Your question is sent when the files are ready."));
    await new Promise((resolve) => waiters.push(resolve));
    delete $("#composer").dataset.waiting;
  }
  const failed = files.filter(({ state, told }) => state === "failed" && !told);
  for (const entry of failed) entry.told = true;
  if (!failed.length) return true;
  const [{ name, error }] = failed;
  const text = tn("{name} can’t be used. {reason} Remove it, or send again without it.", "{n} files can’t be used. Remove them, or send again without them.", failed.length, { name, reason: error });
  toast(text);
  announce(text);
  return false;
}

// Ways to attach --------------------------------------------------------------------------------------------------

/** Pasted pictures all have the same name, which would replace each other. */
function pasted(file) {
  if (!file.type.startsWith("image/") || !/^image\.\w+$/.test(file.name)) return file;
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "-");
  return new File([file], `${t("Pasted picture")} ${time}.${file.name.split(".").pop()}`, { type: file.type });
}

function wireDrop() {
  const box = $(".composer-box");
  const carriesFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
  let depth = 0;
  const over = (by) => { depth = Math.max(depth + by, 0); box.toggleAttribute("data-over", depth > 0); };
  main.addEventListener("dragenter", (event) => { if (carriesFiles(event)) over(1); });
  main.addEventListener("dragleave", (event) => { if (carriesFiles(event)) over(-1); });
  main.addEventListener("dragover", (event) => { if (carriesFiles(event)) event.preventDefault(); });
  main.addEventListener("drop", (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    over(-depth);
    const plain = [...event.dataTransfer.files]; // for items without an entry, such as a picture of another page
    dropped(event.dataTransfer.items).then(({ files: found }) => attach(found.length ? found.map(({ file }) => file) : plain));
  });
}

export function wireAttachments() {
  if (!button || button.disabled) return;
  const input = $("#attach-files");
  button.addEventListener("click", () => input.click());
  input.addEventListener("change", () => {
    const chosen = [...input.files];
    input.value = "";
    attach(chosen);
    $("#question").focus();
  });
  $("#question").addEventListener("paste", (event) => {
    const found = [...(event.clipboardData?.files ?? [])];
    if (!found.length) return;
    event.preventDefault();
    attach(found.map(pasted));
  });
  wireDrop();
  window.addEventListener("beforeunload", (event) => { if (files.some(({ state }) => state === "uploading")) event.preventDefault(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden && files.length) look().catch(() => {}); });
  if (!main.dataset.conversation) return;
  if ("unasked" in main.dataset) lockTemporary();
  if ("files" in main.dataset) look().then(watch, () => {});
}
