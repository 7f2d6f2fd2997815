// Citations of each answer on the page: the card on hover and focus, the panel on click.

import { $, el } from "./dom.js";
import { Panel } from "./panel.js";
import { locationOf, provenance, vouched, whereabouts } from "./places.js";
import { t } from "./i18n.js";

const known = new Map(); // message id -> citations, by marker
let card = null;
let timer = 0;

export function remember(message, citations) {
  known.set(message, [...citations].sort((a, b) => a.marker - b.marker));
}

export function citationsOf(message) { return known.get(message) ?? []; }

/** Read the JSON that the server adds to each answer. */
export function rememberFrom(turn) {
  const data = $('script[type="application/json"]', turn);
  if (data) remember(turn.dataset.message, JSON.parse(data.textContent));
}

export function citeButton(citation) {
  const where = [citation.title, locationOf(citation)].filter(Boolean).join(", ");
  return el("button", { type: "button", class: "cite", "data-marker": String(citation.marker), "aria-label": t("Source {number}: {what}", { number: citation.marker, what: where }), text: String(citation.marker) });
}

function find(button) {
  const message = button.closest("[data-message]")?.dataset.message;
  return citationsOf(message).find((citation) => citation.marker === Number(button.dataset.marker));
}

function place(node, anchor) {
  const at = anchor.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = node;
  const left = Math.min(Math.max(at.left + at.width / 2 - width / 2, 16), window.innerWidth - width - 16);
  const above = at.top - height - 8;
  Object.assign(node.style, { left: `${left}px`, top: `${above > 8 ? above : at.bottom + 8}px` });
}

function showCard(button) {
  hideCard();
  const citation = find(button);
  if (!citation) return;
  card = el("div", { class: "hovercard", role: "tooltip" }, el("strong", { text: citation.title }), el("span", { class: "faint", text: whereabouts(citation) }), provenance(citation), vouched(citation), el("blockquote", { text: citation.quote }));
  document.body.append(card);
  place(card, button);
}

function hideCard() {
  clearTimeout(timer);
  card?.remove();
  card = null;
}

export function wireCitations(root) {
  const panel = new Panel();
  const cites = (event) => event.target.closest?.("button.cite");
  root.addEventListener("pointerover", (event) => {
    const button = cites(event);
    if (!button || event.pointerType === "touch") return;
    clearTimeout(timer);
    timer = setTimeout(showCard, 120, button);
  });
  root.addEventListener("pointerout", (event) => cites(event) && hideCard());
  root.addEventListener("focusin", (event) => { const button = cites(event); if (button?.matches(":focus-visible")) showCard(button); });
  root.addEventListener("focusout", (event) => cites(event) && hideCard());
  document.addEventListener("scroll", hideCard, true);
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-marker]");
    if (!button) return;
    hideCard();
    panel.open(citationsOf(button.closest("[data-message]").dataset.message), Number(button.dataset.marker), button);
  });
  return { panel, hideCard };
}
