// One import: its totals, uploads in progress, failures with reasons, and all files.

import { $, $$, bytes, clone, confirmed, el, toast } from "./dom.js";
import { Problem, api } from "./http.js";
import { duration, line } from "./jobs.js";
import { followInTurn, throttled } from "./streams.js";
import { chosen } from "./dropped-files.js";
import { Sender } from "./sender.js";
import { number, t, tn } from "./i18n.js";

const PAGE = 50;
const LOOK_MS = 1500;
const SAY_MS = 10000;
const FEW = 8;
const SHORT = 3;
const QUIET_MS = 5000;
const SHOWN_FAILURES = 200;
const OVER = new Set(["done", "cancelled"]);
const FILTERS = [["", t("All"), "files"], ["failed=true", t("Failed"), "failed"], ["stage=queued", t("Waiting"), "queued"], ["stage=ready", t("Ready"), "ready"], ["outcome=unchanged", t("Unchanged"), "unchanged"], ["stage=cancelled", t("Cancelled"), "cancelled"], ["outcome=removed", t("Removed"), "removed"]];

let failures = null;
/** Failure codes with name, advice, and whether a retry may help. */
const known = () => (failures ??= JSON.parse(document.getElementById("failures").textContent));

// Totals ---------------------------------------------------------------------------------------

const failedIn = ({ counts }) => counts.failed + counts.refused;
const endedIn = ({ counts }) => counts.files - counts.queued - counts.processing;
const expected = (batch, extra = 0) => Math.max(batch.files ?? 0, batch.counts.files) + extra;

/** "212 of 260 ready · 3 failed · 81% · about 40 s left" */
export function sumLine(batch, { refused = 0, sending = null } = {}) {
  const { counts } = batch;
  const failed = failedIn(batch) + refused;
  const parts = [t("{ready} of {files} ready", { ready: counts.ready, files: expected(batch, refused) })];
  const also = (n, words) => { if (n) parts.push(words); };
  also(failed, t("{n} failed", { n: failed }));
  also(counts.unchanged, t("{n} unchanged", { n: counts.unchanged }));
  also(counts.cancelled, t("{n} cancelled", { n: counts.cancelled }));
  also(counts.removed, t("{n} removed", { n: counts.removed }));
  if (batch.state === "cancelled") parts.push(t("import cancelled"));
  else if (!OVER.has(batch.state)) parts.push(...pace(batch, sending));
  return parts.join(" · ");
}

function pace({ state, progress, eta_s: eta, counts }, sending) {
  const shown = percent(progress);
  if (sending) return [...shown, t("{n} uploaded, {sent} of {total}", { n: sending.files, sent: bytes(sending.sent), total: bytes(sending.total) })];
  if (state === "receiving") return [...shown, t("uploading")];
  if (!eta && counts.queued) return [...shown, t("{n} queued", { n: counts.queued })];
  return eta > 2 ? [...shown, t("about {time} left", { time: duration(eta) })] : shown;
}

/** Percentage in the progress bar, rounded down: it reaches 100 only at the end. */
const percent = (progress) => (progress >= 0.01 ? [number(Math.floor(progress * 100) / 100, { style: "percent" })] : []);

/** Remaining time of an upload in parts, at the speed since this page continued it. */
function timeLeft({ loaded, size, resumed, began }) {
  const gone = began ? (Date.now() - began) / 1000 : 0;
  if (gone < 2 || loaded <= resumed) return "";
  const left = ((size - loaded) / (loaded - resumed)) * gone;
  return left > 2 ? `, ${t("about {time} left", { time: duration(left) })}` : "";
}

function stateOf({ outcome, stage, error }) {
  if (outcome === "accepted") return stage ?? "deleted";
  return outcome === "refused" || error ? "failed" : outcome;
}

const WORDS = { refused: t("Rejected"), unchanged: t("Unchanged"), removed: t("Removed"), deleted: t("Deleted since") };

function wordsOf(item) {
  if (item.outcome !== "accepted") return WORDS[item.outcome];
  if (!item.stage) return WORDS.deleted;
  if (!item.report) return line(item, { timed: false }); // the import has one estimate, for all of it
  return [t("Ready"), tn("{n} passage", "{n} passages", item.chunks), item.report.ocr_pages.length ? t("text recognition") : ""].filter(Boolean).join(", ");
}

/** Parts of the file that were not read, or not as expected. */
function remarksOf({ report }) {
  if (!report) return [];
  const blank = report.pages_without_text.length;
  return [blank ? tn("{n} page without text.", "{n} pages without text.", blank) : "", report.truncated ? t("The end was cut off.") : "", ...report.warnings].filter(Boolean);
}

// A list of files -------------------------------------------------------------------------------------

/** Rows are reused by id, so that a focused button keeps the focus. */
function fill(list, items, rows) {
  const kept = new Set(items.map((item) => item.id));
  for (const [id, row] of rows) if (!kept.has(id)) { row.remove(); rows.delete(id); }
  items.forEach((item, at) => {
    let row = rows.get(item.id);
    if (!row) rows.set(item.id, (row = clone("item-template")));
    show(row, item);
    if (list.children[at] !== row) list.insertBefore(row, list.children[at] ?? null);
  });
}

/** A path with its folders de-emphasised: people look for the file name. */
function pathOf(path) {
  const at = path.lastIndexOf("/") + 1;
  return at ? [el("span", { class: "item-folder", text: path.slice(0, at) }), path.slice(at)] : [path];
}

function set(node, text) { if (node.textContent !== text) node.textContent = text; }

function show(row, item) {
  const state = stateOf(item);
  row.dataset.state = state;
  const name = $("[data-name]", row);
  if (name.textContent !== item.source_uri) name.replaceChildren(...pathOf(item.source_uri));
  if (item.document && state !== "deleted") name.href = `/library/documents/${item.document}`;
  else name.removeAttribute("href");
  set($("[data-line]", row), wordsOf(item));
  const bar = $("progress", row);
  bar.hidden = !item.total || ["ready", "failed", "cancelled"].includes(state);
  bar.value = item.total ? item.done / item.total : 0;
  const error = item.error && state !== "ready" ? item.error : null;
  $("[data-error]", row).hidden = !error;
  const remarks = remarksOf(item).join(" ");
  $("[data-remarks]", row).hidden = !remarks;
  set($("[data-remarks] span", row), remarks);
  set($("[data-message]", row), error?.message ?? "");
  set($("[data-code]", row), error?.code ?? "");
  const again = $("[data-again]", row);
  again.hidden = !item.job || !["failed", "cancelled"].includes(state) || known()[item.error?.code]?.retry === false;
  again.dataset.job = item.job ?? "";
  const cancel = $("[data-stop]", row);
  cancel.hidden = !item.job || ["ready", "failed", "cancelled", "deleted", "unchanged"].includes(state);
  cancel.dataset.job = item.job ?? "";
  again.setAttribute("aria-label", t("Retry {title}", { title: item.source_uri }));
  cancel.setAttribute("aria-label", t("Cancel {title}", { title: item.source_uri }));
}

// The import ------------------------------------------------------------------------------------------------

export class ImportView {
  constructor(node, batch, { onChange = () => {}, open = false } = {}) {
    Object.assign(this, { node, batch, onChange, sender: null, arrived: Date.now(), quiet: 0, rows: new Map(), groups: new Map(), filter: "", cursors: [""], stop: null, lost: "" });
    this.sendingRows = new Map();
    this.refresh = throttled(LOOK_MS, () => this.#look());
    this.draw = throttled(200, () => this.#draw());
    this.say = throttled(SAY_MS, () => set(this.#at("announce"), `${batch.label}: ${this.#sum()}`));
    set(this.#at("name"), batch.label);
    this.#at("name").href = `/library/imports/${batch.id}`;
    this.#at("files").open = open || expected(batch) <= FEW;
    this.#wire();
    this.news(batch);
    this.#follow();
  }

  get busy() { return Boolean(this.sender && !this.sender.over); }

  send(files) {
    this.sender = new Sender({ base: this.batch.knowledge_base, batch: this.batch.id, files, onChange: this.draw });
    this.sender.run().then(() => this.#sent());
  }

  async #sent() {
    // Fewer files may have arrived than were announced: close the import, so that it doesn't wait for the rest.
    // Not after a cancellation: a closed import whose files are all processed counts as done, and cannot be cancelled.
    if (!this.sender.stopped) await api("POST", `/api/v1/imports/${this.batch.id}/close`, {}).then((batch) => this.news(batch), () => {});
    this.draw();
  }

  news(batch) {
    const before = this.batch;
    this.batch = batch;
    this.lost = "";
    if (before.counts.files !== batch.counts.files) this.arrived = Date.now();
    this.draw();
    this.refresh();
    this.say();
    if (before.counts.files !== batch.counts.files || endedIn(before) !== endedIn(batch) || before.state !== batch.state) this.onChange(this);
  }

  #at(name) { return $(`[data-${name}]`, this.node); }

  #follow() {
    this.stop?.();
    this.stop = OVER.has(this.batch.state) ? null : followInTurn(`/api/v1/imports/${this.batch.id}`, "progress", (batch) => this.news(batch), (batch) => OVER.has(batch.state), (why) => { this.lost = why; this.draw(); });
  }

  #sum() {
    const { sender } = this;
    return sumLine(this.batch, { refused: sender?.refused.length ?? 0, sending: this.busy ? { files: sender.sent, sent: sender.bytes.sent + sender.loaded, total: sender.bytes.total } : null });
  }

  #draw() {
    const { batch, sender } = this;
    set(this.#at("sum"), this.#sum());
    const bar = this.#at("bar");
    const over = OVER.has(batch.state) && !this.busy;
    bar.hidden = over;
    bar.value = batch.progress;
    this.node.dataset.state = over ? (failedIn(batch) ? "failed" : batch.state) : "busy";
    this.#at("cancel").hidden = over;
    const note = this.#at("note");
    const message = sender?.note || this.lost;
    note.hidden = !message;
    set($("span", note), message);
    this.#drawFlying();
    this.#drawLost();
    this.#drawFilters();
    this.#drawUnsent();
  }

  #drawFlying() {
    const list = this.#at("sending");
    const flying = this.busy ? this.sender.flying : new Map();
    for (const [path, row] of this.sendingRows) if (!flying.has(path)) { row.remove(); this.sendingRows.delete(path); }
    for (const [path, state] of flying) {
      const { loaded, size } = state;
      let row = this.sendingRows.get(path);
      if (!row) {
        const cancel = el("button", { type: "button", class: "button button-plain", text: t("Cancel"), "aria-label": t("Cancel {title}", { title: path }), onclick: () => this.sender.cancel(path) });
        row = el("li", { class: "item" }, el("span", { class: "item-name", text: path }), el("span", { class: "item-line num" }), el("span", { class: "item-act" }, cancel), el("progress", { max: 1 }));
        this.sendingRows.set(path, row);
        list.append(row);
      }
      set($(".item-line", row), loaded < size ? `${t("Uploading {sent} of {total}", { sent: bytes(loaded), total: bytes(size) })}${timeLeft(state)}` : t("Uploaded, checking"));
      $("progress", row).value = size ? loaded / size : 1;
    }
    list.hidden = flying.size === 0;
  }

  /** Files that the server never received: only this page knows of them, while it is open. */
  #drawLost() {
    const lost = this.sender?.refused ?? [];
    const box = this.#at("lost");
    box.hidden = lost.length === 0;
    $("ul", box).replaceChildren(...lost.map(({ path, problem }) => el("li", { class: "item", "data-state": "failed" }, el("span", { class: "item-name", text: path }), el("span", { class: "item-line", text: t("Not uploaded") }), el("p", { class: "error-text", text: problem.message }))));
    $("[data-resend]", box).hidden = this.busy || !lost.some(({ file }) => file);
  }

  #drawFilters() {
    for (const button of $$("[data-filter]", this.node)) {
      const count = button.dataset.count === "failed" ? failedIn(this.batch) : this.batch.counts[button.dataset.count];
      button.hidden = !count && button.dataset.filter !== this.filter && button.dataset.filter !== "";
      set($(".num", button), number(count));
      button.setAttribute("aria-pressed", String(button.dataset.filter === this.filter));
    }
  }

  /** The server isn't notified when an uploading page is closed: detect it by the absence of new files. */
  #drawUnsent() {
    const missing = (this.batch.files ?? 0) - this.batch.counts.files;
    const wanted = !this.busy && missing > 0 && this.batch.state !== "cancelled";
    const box = this.#at("unsent");
    box.hidden = !wanted || Date.now() - this.arrived < QUIET_MS;
    set($("[data-missing]", box), tn("{n} file is missing. If no other page is uploading it, choose the same files again. Files already uploaded are skipped.", "{n} files are missing. If no other page is uploading them, choose the same files again. Files already uploaded are skipped.", missing));
    clearTimeout(this.quiet);
    if (wanted && box.hidden) this.quiet = setTimeout(this.draw, QUIET_MS);
  }

  // What failed, and every file, as the server has them

  async #look() {
    try {
      await this.#lookAtFailures();
      if (this.#at("files").open) await this.#lookAtFiles();
    } catch (error) {
      if (error instanceof Problem && error.status === 404) this.stop?.();
    }
  }

  #items(query, limit, cursor = "") {
    return api("GET", `/api/v1/imports/${this.batch.id}/items?limit=${limit}&cursor=${cursor}${query ? `&${query}` : ""}`);
  }

  async #lookAtFailures() {
    const failed = failedIn(this.batch) + this.batch.counts.cancelled;
    const items = failed ? (await this.#items("failed=true", SHOWN_FAILURES)).items : [];
    const byCode = grouped(items);
    for (const [code, group] of this.groups) if (!byCode.has(code)) { group.node.remove(); this.groups.delete(code); }
    for (const [code, members] of byCode) this.#drawGroup(code, members);
    const box = this.#at("failures");
    box.hidden = items.length === 0;
    const more = this.#at("more-failures");
    more.hidden = items.length >= failed;
    set(more, t("Showing the first {n} of {all} failed files. See “All files”, “Failed” for the rest.", { n: items.length, all: failed }));
  }

  #drawGroup(code, items) {
    let group = this.groups.get(code);
    if (!group) {
      const { name, advice, retry = true } = known()[code] ?? { name: t("Rejected"), advice: t("See the message next to each file.") };
      group = { node: clone("group-template"), rows: new Map(), touched: false };
      this.groups.set(code, group);
      set($("[data-title]", group.node), name);
      set($("[data-advice]", group.node), advice);
      const button = $("[data-all]", group.node);
      button.dataset.all = code;
      button.classList.toggle("button-plain", !retry);
      $("summary", group.node).addEventListener("click", () => { group.touched = true; });
      this.#at("failures").insertBefore(group.node, this.#at("more-failures"));
    }
    const retryable = items.filter((item) => item.job).length;
    // A group that becomes long is collapsed, unless the user has opened or closed it.
    if (!group.touched) $("details", group.node).open = items.length <= SHORT;
    set($("[data-count]", group.node), tn("{n} file", "{n} files", items.length));
    const all = $("[data-all]", group.node);
    all.hidden = retryable < 2;
    set($("span", all), t("Retry all {n}", { n: retryable }));
    fill($("ul", group.node), items, group.rows);
  }

  async #lookAtFiles() {
    const { filter } = this;
    const { items, next_cursor: next } = await this.#items(filter, PAGE, this.cursors.at(-1));
    if (filter !== this.filter) return;
    this.next = next;
    fill(this.#at("list"), items, this.rows);
    const first = (this.cursors.length - 1) * PAGE;
    this.#at("pager").hidden = this.cursors.length === 1 && !next;
    this.#at("earlier").disabled = this.cursors.length === 1;
    this.#at("later").disabled = !next;
    set(this.#at("range"), items.length ? t("{first} to {last}", { first: first + 1, last: first + items.length }) : "");
    this.#at("none").hidden = items.length > 0;
  }

  #turn(cursors) {
    this.cursors = cursors;
    return this.#lookAtFiles().catch((error) => toast(error.message));
  }

  // Actions ------------------------------------------------------------------------------------

  #wire() {
    const filters = this.#at("filters");
    for (const [query, label, count] of FILTERS) filters.append(el("button", { type: "button", class: "chip", "data-filter": query, "data-count": count }, `${label} `, el("span", { class: "num" })));
    this.#at("files").addEventListener("toggle", this.refresh);
    this.node.addEventListener("click", (event) => this.#clicked(event));
    for (const input of $$("input[type=file]", this.node)) input.addEventListener("change", () => { this.#goOn(chosen(input.files).files); input.value = ""; });
  }

  async #clicked(event) {
    const on = (name) => event.target.closest(`[data-${name}]`);
    try {
      if (on("filter")) { this.filter = on("filter").dataset.filter; this.#drawFilters(); await this.#turn([""]); }
      else if (on("earlier")) await this.#turn(this.cursors.slice(0, -1));
      else if (on("later")) await this.#turn([...this.cursors, this.next]);
      else if (on("again")) await this.#act("POST", `/api/v1/jobs/${on("again").dataset.job}/retry`);
      else if (on("stop")) await this.#act("POST", `/api/v1/jobs/${on("stop").dataset.job}/cancel`);
      else if (on("all")) await this.#retryAll(on("all").dataset.all);
      else if (on("resend")) this.#resend();
      else if (on("cancel")) await this.#cancel();
      else if (on("choose")) $(`input[data-input="${on("choose").dataset.choose}"]`, this.node).click();
    } catch (error) {
      toast(error.message);
    }
  }

  async #act(method, path, body) {
    const answer = await api(method, path, body);
    this.batch = await api("GET", `/api/v1/imports/${this.batch.id}`);
    this.lost = "";
    this.#follow();
    this.draw();
    this.refresh();
    return answer;
  }

  async #retryAll(code) {
    const { retried, skipped } = await this.#act("POST", "/api/v1/jobs/retry", { import: this.batch.id, code });
    toast([tn("Retrying {n} file.", "Retrying {n} files.", retried), skipped ? t("{n} couldn’t be retried.", { n: skipped }) : ""].join(" ").trim());
  }

  async #cancel() {
    const sure = await confirmed({ title: t("Cancel “{title}”?", { title: this.batch.label }), text: t("Finished files stay. Files not yet uploaded or processed are skipped."), yes: t("Cancel import") });
    if (!sure) return;
    this.sender?.stop();
    await this.#act("POST", `/api/v1/imports/${this.batch.id}/cancel`);
  }

  #resend() {
    const files = this.sender.refused.filter(({ file }) => file).map(({ file, path }) => ({ file, path }));
    this.send(files);
  }

  /** Upload the files that had not arrived when the page was closed. */
  async #goOn(files) {
    const here = new Set();
    for (let cursor = ""; cursor !== null;) {
      const { items, next_cursor: next } = await this.#items("", 200, cursor);
      for (const item of items) here.add(item.source_uri);
      cursor = next;
    }
    const left = files.filter(({ path }) => !here.has(path));
    if (left.length) this.send(left);
    else toast(t("All selected files are already uploaded."));
  }
}

function grouped(items) {
  const groups = new Map();
  for (const item of items) {
    const code = item.error?.code ?? "";
    if (!groups.has(code)) groups.set(code, []);
    groups.get(code).push(item);
  }
  return groups;
}
