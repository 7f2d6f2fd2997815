// One question and its answer while it is being written.

import { $, announce, clone, el, fragment } from "./dom.js";
import { Problem, page } from "./http.js";
import { process } from "./hx.js";
import { fold } from "./folding.js";
import { remember, rememberFrom } from "./citations.js";
import { LiveText } from "./live.js";
import { t, tn } from "./i18n.js";
import { whereabouts } from "./places.js";

const LONG = 160;
const FOLDED = 600;
const SLOW_MS = 15_000;

export class Turn {
  #slow = 0;

  /** `parent`: id of the previous message, "" for none. */
  constructor(question, parent, node = null) {
    this.question = question;
    this.node = node ?? clone("turn-template");
    this.node.dataset.parent = parent;
    this.abort = new AbortController();
    const heading = $(".question", this.node);
    heading.textContent = question;
    heading.tabIndex = -1;
    heading.classList.toggle("question-long", question.length > LONG);
    if (!node) fold(this.node, question.length > FOLDED);
    this.live = new LiveText($("[data-live]", this.node));
    this.state(node ? t("Writing…") : t("Searching…"));
  }

  /** Take over a turn that the server rendered as still running. */
  static over(node) {
    const fresh = clone("turn-template");
    $("[data-answer]", node).replaceWith($("[data-top]", fresh), $("[data-answer]", fresh));
    return new Turn($(".question", node).textContent, node.dataset.parent, node);
  }

  get id() { return this.node.dataset.message; }

  state(text) {
    const line = $("[data-state-text]", this.node);
    if (!line) return;
    clearTimeout(this.#slow);
    line.textContent = text;
    announce(text);
    this.#slow = setTimeout(() => { line.textContent = t("This is taking longer than usual. You can wait, stop, or come back later…"); }, SLOW_MS);
  }

  settle() {
    clearTimeout(this.#slow);
    $("[data-state]", this.node)?.remove();
    if ($("[data-passages]", this.node)?.hidden) $("[data-top]", this.node)?.remove();
  }

  on({ type, data }) {
    const told = { start: () => this.started(data), sources: () => this.found(data), waiting: () => this.queued(data.position), delta: () => this.wrote(data.text), citation: () => this.cited(data), done: () => this.done(data), error: () => { throw Object.assign(new Problem({ ...data, status: data.status ?? 500 }), { told: true }); } };
    return told[type]?.();
  }

  started({ id, conversation }) {
    this.node.dataset.message = id;
    this.live.restart();
    this.onstart?.(conversation);
  }

  found(hits) {
    this.state(hits.length ? tn("Reading {n} passage…", "Reading {n} passages…", hits.length) : t("No matching passages found…"));
    if (!hits.length) return;
    const details = $("[data-passages]", this.node);
    const documents = new Set(hits.map((hit) => hit.document)).size;
    $("[data-passages-label]", details).textContent = t("Read {passages} {where}", { passages: tn("{n} passage", "{n} passages", hits.length), where: tn("in {n} document", "in {n} documents", documents) });
    $("ol", details).replaceChildren(...hits.map(passage));
    details.hidden = false;
  }

  /** Other requests are ahead in the queue of the language model. */
  queued(position) {
    this.state(position > 1 ? t("Waiting for the language model: number {n} in the queue…", { n: position }) : t("Waiting for the language model: you’re next…"));
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
    // If the server's rendering can't be loaded, the streamed text stays: it is the same.
    try {
      await this.settled();
    } catch (error) {
      this.settle();
      if (error.status === 401) return this.#tell(error);
      announce(t("The answer is complete but couldn’t be displayed. Reload the page to see it."));
    }
    announce(t("Answer ready. {verdict}", { verdict: $(".verdict", this.node)?.textContent.trim() ?? "" }));
  }

  /** Replace the streamed text by the server's rendering. */
  async settled() {
    const html = await page(`/messages/${this.id}/rendered`);
    const focused = document.activeElement?.closest?.("button.cite");
    const marker = focused && this.node.contains(focused) ? focused.dataset.marker : null;
    const answer = $("[data-answer]", this.node);
    answer.replaceChildren(fragment(html));
    process(answer);
    rememberFrom(this.node);
    this.settle();
    if (marker) $(`button.cite[data-marker="${marker}"]`, this.node)?.focus({ preventScroll: true });
  }

  /** Show the answer as the server stored it, or else the error. */
  async failed(error) {
    this.settle();
    announce(t("The answer couldn’t be completed."));
    if (error.status !== 401 && this.id && await this.settled().then(() => true, () => false)) return;
    this.#tell(error);
  }

  #tell(error) {
    const box = clone("failure-template");
    $("[data-incomplete]", box).hidden = !$(".answer-body", this.node)?.textContent.trim();
    $("[data-text]", box).textContent = error instanceof Problem ? error.message : t("Something went wrong while displaying the answer. Ask again.");
    if (error.status === 401) $("[data-again]", box).replaceWith(el("a", { class: "button button-primary", href: `/login?next=${encodeURIComponent(location.pathname + location.search)}`, text: t("Sign in") }));
    $("[data-answer]", this.node).append(box);
  }

  /** The user stopped the stream: show what the server has stored, if it received the question. */
  async stopped() {
    this.settle();
    announce(t("Stopped."));
    if (!this.id) this.node.remove();
    else await this.settled().catch(() => $("[data-answer]", this.node).append(el("p", { class: "note", text: t("Stopped.") })));
  }
}

function passage(hit) {
  return el("li", {}, el("a", { href: `/library/documents/${hit.document}?chunk=${hit.chunk}`, text: hit.title }), " ", el("span", { class: "faint", text: whereabouts(hit) }), el("span", { class: "snippet", text: hit.text }));
}
