// Asking, and what happens until the answer stands.

import { $, $$, clone, copy, el, fragment, icon, toast } from "./dom.js";
import { Problem, api, page, request } from "./http.js";
import { events } from "./sse.js";
import { citationsOf, remember, rememberFrom, wireCitations } from "./citations.js";
import { LiveText } from "./live.js";
import { choice, wirePicker } from "./picker.js";
import { locationOf, whereabouts } from "./places.js";
import { t, tn } from "./i18n.js";

const main = $("#main");
const thread = $("#thread");
const turns = $("#turns");
const form = $("#composer");
const field = $("#question");
const send = $("#send");
const stop = $("#stop");
const { panel } = wireCitations(turns);
const STOP_WITHIN_MS = 2500;
let running = null;

const announce = (text) => { $("#announce").textContent = text; };

// One question ---------------------------------------------------------------------------------------

class Turn {
  constructor(question) {
    this.question = question;
    this.node = clone("turn-template");
    this.abort = new AbortController();
    const heading = $(".question", this.node);
    heading.textContent = question;
    heading.classList.toggle("question-long", question.length > 160);
    this.live = new LiveText($("[data-live]", this.node));
    this.state(t("Searching…"));
  }

  get id() { return this.node.dataset.message; }

  state(text) {
    $("[data-state-text]", this.node).textContent = text;
    announce(text);
  }

  settle() {
    $("[data-state]", this.node)?.remove();
    if ($("[data-passages]", this.node)?.hidden) $("[data-top]", this.node)?.remove();
  }

  on({ type, data }) {
    ({ start: () => this.started(data), sources: () => this.found(data), delta: () => this.wrote(data.text), citation: () => this.cited(data), done: () => this.done(data), error: () => { throw new Problem({ ...data, status: data.status ?? 500 }); } })[type]?.();
  }

  started({ id, conversation }) {
    this.node.dataset.message = id;
    if (!main.dataset.conversation) enterConversation(conversation, this.question);
  }

  found(hits) {
    const list = Array.isArray(hits) ? hits : hits.hits ?? hits.results ?? [];
    this.state(list.length ? tn("Reading {n} passage…", "Reading {n} passages…", list.length) : t("Nothing close was found…"));
    if (!list.length) return;
    const details = $("[data-passages]", this.node);
    const documents = new Set(list.map((hit) => hit.document)).size;
    $("[data-passages-label]", details).textContent = t("Read {passages} {where}", { passages: tn("{n} passage", "{n} passages", list.length), where: tn("in {n} document", "in {n} documents", documents) });
    $("ol", details).replaceChildren(...list.map(passage));
    details.hidden = false;
  }

  wrote(text) {
    if (!this.live.text) this.state(t("Writing…"));
    this.live.append(text);
  }

  cited(citation) {
    this.live.cite(citation);
    remember(this.id, this.live.citations);
  }

  async done(answer) {
    this.finished = true;
    remember(this.id ?? answer.id, answer.citations);
    this.node.dataset.message = answer.id;
    // Without the server's rendering what streamed in stays: it is the same text.
    await this.settled().catch(() => { this.settle(); toast(t("The answer is complete but could not be laid out. Reload the page to see it in full.")); });
    announce(t("Answer ready. {verdict}", { verdict: $(".verdict", this.node)?.textContent.trim() ?? "" }));
  }

  /** The server's rendering takes the place of the text that streamed in. */
  async settled() {
    const html = await page(`/messages/${this.id}/rendered`);
    const focused = document.activeElement?.closest?.("button.cite");
    const marker = focused && this.node.contains(focused) ? focused.dataset.marker : null;
    const answer = $("[data-answer]", this.node);
    answer.replaceChildren(fragment(html));
    window.htmx?.process(answer);
    rememberFrom(this.node);
    this.settle();
    if (marker) $(`button.cite[data-marker="${marker}"]`, this.node)?.focus({ preventScroll: true });
  }

  failed(error) {
    this.settle();
    const box = clone("failure-template");
    $("[data-text]", box).textContent = error instanceof Problem ? error.message : t("Something went wrong while the answer was shown. Ask again.");
    $("[data-answer]", this.node).append(box);
    announce(t("The answer could not be finished."));
  }

  stopped() {
    this.settle();
    $("[data-answer]", this.node).append(el("footer", { class: "answer-foot" }, el("div", { class: "verdict verdict-stopped" }, icon("stop"), el("span", { text: this.live.text ? t("Stopped. What stands here was checked; the rest was not written.") : t("Stopped before anything was written.") }))));
    announce(t("Stopped."));
  }
}

function passage(hit) {
  return el("li", {}, el("a", { href: `/library/documents/${hit.document}?chunk=${hit.chunk}`, text: hit.title }), " ", el("span", { class: "faint", text: whereabouts(hit) }), el("span", { class: "snippet", text: hit.text }));
}

function enterConversation(id, title) {
  main.dataset.conversation = id;
  history.replaceState(null, "", `/conversations/${id}`);
  const short = title.length > 80 ? `${title.slice(0, 79)}…` : title;
  $("#conversation-title").textContent = short;
  document.title = `${short} · Cairn`;
  $("#chat-head").hidden = false;
  $("#conversations").setAttribute("hx-vals", JSON.stringify({ current: id }));
}

function busy(turn) {
  running = turn;
  send.hidden = turn !== null;
  stop.hidden = turn === null;
}

async function ask(question) {
  if (running || !question.trim()) return;
  const turn = new Turn(question.trim());
  $("#welcome")?.remove();
  for (const earlier of $$(".turn-fresh")) earlier.classList.remove("turn-fresh");
  turns.append(turn.node);
  turn.node.scrollIntoView({ block: "start", behavior: "smooth" });
  busy(turn);
  try {
    await follow(turn);
  } catch (error) {
    if (error.name === "AbortError") turn.stopped();
    else turn.failed(error);
  } finally {
    busy(null);
    if (turn.id) document.body.dispatchEvent(new CustomEvent("conversations-changed"));
  }
}

async function follow(turn) {
  const json = { question: turn.question, stream: true, ...choice() };
  if (main.dataset.conversation) json.conversation = main.dataset.conversation;
  const response = await request("POST", "/api/v1/ask", { json, signal: turn.abort.signal, accept: "text/event-stream" });
  for await (const event of events(response)) await turn.on(event);
  if (!turn.finished) throw new Problem({ detail: t("The connection broke before the answer was finished. Your question is kept: ask again.") });
}

/** Asked to stop, the server ends the answer in order; if it does not, the connection is cut. */
function halt() {
  if (!running || running.stopping) return;
  const turn = running;
  turn.stopping = true;
  turn.state(t("Stopping…"));
  const cut = () => { if (!turn.finished) turn.abort.abort(); };
  if (turn.id) api("POST", `/api/v1/messages/${turn.id}/stop`).then(() => setTimeout(cut, STOP_WITHIN_MS), cut);
  else cut();
  field.focus();
}

// What can be done with an answer ---------------------------------------------------------------------

function copyAnswer(turn) {
  const body = $(".answer-body", turn)?.cloneNode(true) ?? el("div");
  for (const button of $$("button.cite", body)) button.replaceWith(`[${button.dataset.marker}]`);
  // Laid out while it is read, so that paragraphs and list items keep their line breaks.
  body.classList.add("visually-hidden");
  document.body.append(body);
  const text = body.innerText.trim();
  body.remove();
  const sources = citationsOf(turn.dataset.message).map((c) => `[${c.marker}] ${[c.title, locationOf(c)].filter(Boolean).join(", ")}`);
  copy([text, sources.join("\n")].filter(Boolean).join("\n\n"), t("Copied with its sources."));
}

async function rate(turn, button) {
  const rating = button.dataset.rate;
  try {
    await api("POST", `/api/v1/messages/${turn.dataset.message}/feedback`, { rating });
    for (const other of $$("[data-rate]", turn)) other.setAttribute("aria-pressed", String(other === button));
    toast(t("Thank you. Those who keep the documents will see it."));
  } catch (error) {
    toast(error.message);
  }
}

turns.addEventListener("click", (event) => {
  const turn = event.target.closest(".turn");
  const suggestion = event.target.closest("[data-ask]");
  if (suggestion) { ask(suggestion.dataset.ask); return; }
  if (!turn) return;
  const rating = event.target.closest("[data-rate]");
  if (rating) rate(turn, rating);
  if (event.target.closest("[data-copy]")) copyAnswer(turn);
  if (event.target.closest("[data-edit]")) edit($("[data-understood]", turn).textContent);
  if (event.target.closest("[data-again]")) ask($(".question", turn).textContent);
});

// The question field -------------------------------------------------------------------------------------

function fit() {
  if (CSS.supports("field-sizing", "content")) return;
  field.style.height = "auto";
  field.style.height = `${field.scrollHeight}px`;
}

/** Puts a question into the field, to be changed and asked again; what is already typed there is kept for undo. */
function edit(question) {
  field.focus();
  field.select();
  if (!document.execCommand("insertText", false, question)) field.value = question;
  fit();
  announce(t("The question as it was understood is in the question field. Change it and ask again."));
}

function submit() {
  const question = field.value;
  if (running || !question.trim()) return;
  field.value = "";
  fit();
  ask(question);
}

field.addEventListener("input", fit);
field.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
});
form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
stop.addEventListener("click", halt);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (running) halt();
  else if (panel.isOpen) panel.close();
});

// The conversation -------------------------------------------------------------------------------------------

for (const turn of $$(".turn", turns)) rememberFrom(turn);
document.body.addEventListener("htmx:afterSwap", (event) => { const turn = event.target.closest?.(".turn"); if (turn) rememberFrom(turn); });
$(".turn:last-of-type", turns)?.scrollIntoView({ block: "start" });
wirePicker();
fit();
thread.tabIndex = -1;
