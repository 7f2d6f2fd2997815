// A rendition as readable text, with a passage highlighted.

import { codeBlock } from "./code.js";
import { el } from "./dom.js";
import { inlineLink } from "./links.js";
import { locate } from "./match.js";
import { t } from "./i18n.js";

const KINDS = { Title: "el-title", Header: "el-title", ListItem: "el-item" };
const NUMBERED = /^(?:\d+|[a-z])[.)]\s/i;
const PER_BLOCK = 60;

const kindOf = ({ category, text }) => (category === "ListItem" && NUMBERED.test(text) ? "el-numbered" : KINDS[category] ?? "");

function marked(text, range) {
  if (!range) return [text];
  const [from, to] = range;
  return [text.slice(0, from), el("mark", { text: text.slice(from, to) }), text.slice(to)].filter((part) => part !== "");
}

/** The server counts code points, scripts count units of UTF-16. */
function linksOf({ text, links = [] }) {
  if (!links.length || !/[\ud800-\udbff]/.test(text)) return links;
  const units = [0];
  for (const point of text) units.push(units.at(-1) + point.length);
  return links.map(({ start, end, url }) => ({ start: units[start], end: units[end], url }));
}

/** Part of a text as nodes: its links, and the part of it that is highlighted. */
function pieces(text, links, range, from = 0, to = text.length) {
  const nodes = [];
  let at = from;
  const upTo = (end) => {
    const lit = range && [Math.max(range[0], at) - at, Math.min(range[1], end) - at];
    const content = marked(text.slice(at, end), lit && lit[0] < lit[1] ? lit : null);
    at = end;
    return content;
  };
  for (const { start, end, url } of links) {
    if (start < at || end > to) continue;
    nodes.push(...upTo(start), ...inlineLink({ text: text.slice(start, end), url }, ...upTo(end)));
  }
  return [...nodes, ...upTo(to)];
}

/** A table's row; rows of a spreadsheet start with their number, as in spreadsheet programs. */
function table(element, range) {
  const head = element.header_rows ?? 0;
  const links = linksOf(element);
  const body = el("tbody");
  let at = 0;
  for (const [row, line] of element.text.split("\n").entries()) {
    const lit = range && at < range[1] && at + line.length > range[0];
    let start = at;
    const cells = line.split(" | ").map((cell) => {
      const [from, to] = [start, start + cell.length];
      start = to + " | ".length;
      return el(row < head ? "th" : "td", {}, ...pieces(element.text, links, lit ? [from, to] : null, from, to));
    });
    const place = element.cells?.[row];
    if (place) cells.unshift(el("th", { class: "cell-ref", scope: "row", title: place, text: place.match(/\d+/)?.[0] ?? "" }));
    body.append(el("tr", {}, ...cells));
    at += line.length + 1;
  }
  return el("div", { class: "el-table" }, el("table", {}, body));
}

function drawn(element, range) {
  if (element.category === "Table") return table(element, range);
  if (element.category === "CodeSnippet") return codeBlock(...marked(element.text, range));
  return el("p", { class: kindOf(element) }, ...pieces(element.text, linksOf(element), range));
}

const SLIDES = new Set(["application/vnd.openxmlformats-officedocument.presentationml.presentation", "application/vnd.ms-powerpoint"]);

/** The word for a page of this document: page or slide. */
export const pageWord = (mediaType) => (SLIDES.has(mediaType) ? t("Slide") : t("Page"));

function placeOf(element, word) {
  if (element.sheet) return t("Sheet {name}", { name: element.sheet });
  return element.page == null ? null : `${word} ${element.page}`;
}

/** Elements as nodes, in blocks that the browser can skip painting while they are off screen. */
export function render(elements, lit = new Map(), word = t("Page")) {
  const reading = el("div", { class: "reading" });
  let block;
  let shown = null;
  for (const [at, element] of elements.entries()) {
    if (at % PER_BLOCK === 0) reading.append((block = el("section", {})));
    const place = placeOf(element, word);
    if (place && place !== shown) block.append(el("p", { class: "page-mark", text: (shown = place) }));
    const node = drawn(element, lit.get(at));
    if (lit.has(at)) block.classList.add("lit");
    block.append(node);
  }
  return reading;
}

/** Scroll again after the first painting: until then, the heights of skipped blocks are estimates. */
export function showLit(reading) {
  const show = () => reading.querySelector("mark")?.scrollIntoView({ block: "center" });
  show();
  requestAnimationFrame(() => requestAnimationFrame(show));
}

export function renderWithPassage(elements, quote, hint, word) {
  const lit = quote ? locate(elements, quote, hint) : new Map();
  return { reading: render(elements, lit, word), found: lit.size > 0 };
}
