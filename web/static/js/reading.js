// A rendition as readable text, with a passage lit.

import { el } from "./dom.js";
import { locate } from "./match.js";

const KINDS = { Title: "el-title", Header: "el-title", ListItem: "el-item", CodeSnippet: "el-code" };
const NUMBERED = /^(?:\d+|[a-z])[.)]\s/i;
const PER_BLOCK = 60;

const kindOf = ({ category, text }) => (category === "ListItem" && NUMBERED.test(text) ? "el-numbered" : KINDS[category] ?? "");

function marked(text, range) {
  if (!range) return [text];
  const [from, to] = range;
  return [text.slice(0, from), el("mark", { text: text.slice(from, to) }), text.slice(to)].filter((part) => part !== "");
}

function table(element, range) {
  const head = element.header_rows ?? 0;
  const body = el("tbody");
  let at = 0;
  for (const [row, line] of element.text.split("\n").entries()) {
    const lit = range && at < range[1] && at + line.length > range[0];
    const cells = line.split(" | ").map((cell) => el(row < head ? "th" : "td", {}, lit ? el("mark", { text: cell }) : cell));
    body.append(el("tr", {}, ...cells));
    at += line.length + 1;
  }
  return el("div", { class: "el-table" }, el("table", {}, body));
}

function drawn(element, range) {
  if (element.category === "Table") return table(element, range);
  return el("p", { class: kindOf(element) }, ...marked(element.text, range));
}

/** Elements as nodes, in blocks that the browser may leave unpainted until they are near. */
export function render(elements, lit = new Map()) {
  const reading = el("div", { class: "reading" });
  let block;
  let page = null;
  for (const [at, element] of elements.entries()) {
    if (at % PER_BLOCK === 0) reading.append((block = el("section", {})));
    if (element.page != null && element.page !== page) {
      page = element.page;
      block.append(el("p", { class: "page-mark", text: `Page ${page}` }));
    }
    const node = drawn(element, lit.get(at));
    if (lit.has(at)) block.classList.add("lit");
    block.append(node);
  }
  return reading;
}

/** Once more after the first painting: until then blocks that are left unpainted have guessed heights. */
export function showLit(reading) {
  const show = () => reading.querySelector("mark")?.scrollIntoView({ block: "center" });
  show();
  requestAnimationFrame(() => requestAnimationFrame(show));
}

export function renderWithPassage(elements, quote, hint) {
  const lit = quote ? locate(elements, quote, hint) : new Map();
  return { reading: render(elements, lit), found: lit.size > 0 };
}
