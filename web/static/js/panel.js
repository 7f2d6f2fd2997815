// The passage next to the answer: in the image of its page, or in the extracted text.

import { $, $$, el } from "./dom.js";
import { Problem, api } from "./http.js";
import { linkList } from "./links.js";
import { placeAmong, placeOf, provenance, vouched } from "./places.js";
import { pageWord, renderWithPassage, showLit } from "./rendition.js";
import { t } from "./i18n.js";

const GONE = t("This document was deleted, or you no longer have access to it.");
const CHANGED = t("The document has changed and no longer contains this passage. It read:");

export class Panel {
  #root = document.getElementById("panel");
  #body = document.getElementById("panel-body");
  #frame = document.getElementById("chat");
  #documents = new Map();
  #renditions = new Map();
  #opener = null;
  #citations = [];
  #at = 0;
  #shown = 0;
  #view = "page";

  constructor() {
    $("[data-close]", this.#root).addEventListener("click", () => this.close());
    $("[data-prev]", this.#root).addEventListener("click", () => this.#step(-1));
    $("[data-next]", this.#root).addEventListener("click", () => this.#step(1));
    for (const button of $$("[data-view]", this.#root)) button.addEventListener("click", () => this.#turnTo(button.dataset.view));
    this.#root.addEventListener("keydown", (event) => this.#onKey(event));
  }

  get isOpen() { return !this.#root.hidden; }

  open(citations, marker, opener) {
    const at = citations.findIndex((citation) => citation.marker === marker);
    if (at < 0) return;
    this.#setOpener(opener);
    this.#citations = citations;
    this.#at = at;
    this.#root.hidden = false;
    this.#frame.dataset.panel = "";
    this.#modal();
    this.#show();
    $("#panel-title").focus({ preventScroll: true });
  }

  close() {
    if (!this.isOpen) return;
    this.#root.hidden = true;
    delete this.#frame.dataset.panel;
    $("#main").inert = false;
    const opener = this.#opener;
    this.#setOpener(null);
    if (opener?.isConnected) opener.focus({ preventScroll: true });
  }

  #setOpener(opener) {
    this.#opener?.setAttribute("aria-expanded", "false");
    this.#opener = opener;
    opener?.setAttribute("aria-expanded", "true");
  }

  // Where the panel covers the answer, the covered part is not reachable by keyboard.
  #modal() { $("#main").inert = window.matchMedia("(max-width: 40rem)").matches; }

  #onKey(event) {
    if (event.key === "Escape") this.close();
    else if (event.key === "ArrowLeft" && event.altKey) this.#step(-1);
    else if (event.key === "ArrowRight" && event.altKey) this.#step(1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #step(by) {
    this.#at = Math.min(Math.max(this.#at + by, 0), this.#citations.length - 1);
    this.#show();
  }

  #turnTo(view) {
    this.#view = view;
    this.#show();
  }

  async #show() {
    const citation = this.#citations[this.#at];
    const turn = (this.#shown += 1);
    this.#head(citation);
    this.#body.replaceChildren(skeleton());
    try {
      const content = await this.#content(citation);
      if (turn !== this.#shown) return;
      this.#body.replaceChildren(...content.nodes);
      content.settle?.();
    } catch (error) {
      if (turn === this.#shown) this.#body.replaceChildren(note(messageOf(error)));
    }
  }

  #head(citation) {
    $("#panel-count").textContent = t("Source {number} of {all}", { number: this.#at + 1, all: this.#citations.length });
    $("#panel-title").textContent = citation.title;
    $("#panel-section").textContent = (citation.section ?? []).join(" › ");
    $("#panel-facts").textContent = placeOf(citation);
    $("#panel-base").replaceChildren(provenance(citation));
    $("#panel-verified").replaceChildren(...[vouched(citation)].filter(Boolean));
    this.#siblings(citation);
    const links = citation.links ?? [];
    $("#panel-links").replaceChildren(...(links.length ? [el("h3", { text: t("Links in this passage") }), linkList(links)] : []));
    $("#panel-links").hidden = !links.length;
    $("[data-prev]", this.#root).disabled = this.#at === 0;
    $("[data-next]", this.#root).disabled = this.#at === this.#citations.length - 1;
    $("#panel-view").hidden = true;
    $("#panel-document").href = `/library/documents/${citation.document}?chunk=${citation.chunk}`;
    $("#panel-original").href = `/api/v1/documents/${citation.document}/content`;
  }

  /** Everything else that the answer cites from the same document is one click away. */
  #siblings(citation) {
    const bar = $("#panel-siblings");
    const hadFocus = bar.contains(document.activeElement);
    const cited = this.#citations.filter((each) => each.document === citation.document);
    const buttons = cited.map((each) => el("button", { type: "button", class: "source", "aria-current": String(each === citation), onclick: () => this.#stepTo(each) }, el("span", { class: "source-n", text: String(each.marker) }), " ", el("span", { class: "source-where", text: placeOf(each) || each.section?.at(-1) || t("Passage") })));
    bar.replaceChildren(...buttons);
    bar.hidden = cited.length < 2;
    if (hadFocus) buttons[cited.indexOf(citation)].focus({ preventScroll: true });
  }

  #stepTo(citation) {
    this.#at = this.#citations.indexOf(citation);
    this.#show();
  }

  async #content(citation) {
    const facts = await this.#document(citation.document);
    const pictured = facts.media_type === "application/pdf" && citation.page && facts.version === citation.version;
    this.#facts(citation, facts, pictured);
    return pictured && this.#view === "page" ? pageContent(citation) : this.#textContent(citation, facts);
  }

  #facts(citation, facts, pictured) {
    $("#panel-facts").textContent = [placeAmong(citation, facts.pages), facts.version === citation.version ? t("Version {number}", { number: facts.version }) : t("Quoted from version {old}; this is version {number}", { old: citation.version, number: facts.version })].filter(Boolean).join(" · ");
    $("#panel-view").hidden = !pictured;
    for (const button of $$("[data-view]", this.#root)) button.setAttribute("aria-pressed", String(button.dataset.view === this.#view));
  }

  async #textContent(citation, facts) {
    const { elements } = await this.#rendition(citation.document);
    const { reading, found } = renderWithPassage(elements, citation.quote, citation, pageWord(facts.media_type));
    const nodes = found ? [reading] : [note(CHANGED, "note-warn"), el("blockquote", { class: "reading", text: citation.quote })];
    return { nodes, settle: () => showLit(reading) };
  }

  #document(id) { return remembered(this.#documents, id, () => api("GET", `/api/v1/documents/${id}`)); }
  #rendition(id) { return remembered(this.#renditions, id, () => api("GET", `/api/v1/documents/${id}/rendition`)); }
}

function remembered(cache, key, load) {
  if (!cache.has(key)) {
    const promise = load();
    promise.catch(() => cache.delete(key));
    cache.set(key, promise);
  }
  return cache.get(key);
}

function messageOf(error) {
  if (error instanceof Problem && [403, 404].includes(error.status)) return GONE;
  return error instanceof Problem ? error.message : t("Couldn’t display the passage. Close it and open it again.");
}

const note = (text, tone = "") => el("p", { class: `note ${tone}`, role: "status", text });
const skeleton = () => el("div", { class: "skeleton", "aria-label": t("Loading") }, ...Array.from({ length: 7 }, () => el("i")));

async function pageContent(citation) {
  const image = el("img", { alt: t("Page {number} of {title}", { number: citation.page, title: citation.title }), src: `/api/v1/documents/${citation.document}/pages/${citation.page}.png` });
  await image.decode().catch(() => { throw new Problem({ detail: t("Couldn’t load the image of this page. Switch to “Text” to read it.") }); });
  const sheet = el("div", { class: "sheet" }, image);
  for (const [left, top, right, bottom] of citation.boxes ?? []) {
    const box = el("div", { class: "sheet-box", "aria-hidden": "true" });
    Object.assign(box.style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${(right - left) * 100}%`, height: `${(bottom - top) * 100}%` });
    sheet.append(box);
  }
  const quote = el("p", { class: "visually-hidden", text: t("The passage reads: {quote}", { quote: citation.quote }) });
  return { nodes: [sheet, quote], settle: () => $(".sheet-box", sheet)?.scrollIntoView({ block: "center" }) };
}
