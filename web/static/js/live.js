// An answer while it is being written: the subset of Markdown that answers use, built as nodes, never as HTML. The server's
// final rendering looks the same, so that nothing jumps.

import { el } from "./dom.js";
import { citeButton } from "./citations.js";
import { codeBlock } from "./code.js";

const INLINE = /\\([!-/:-@[-`{-~])|\[(\d{1,3})\]|\*\*([^*]+)\*\*|\*([^*\s][^*]*)\*|`([^`]+)`/g;
const UNFINISHED = /\[\d{0,3}$/;
const FENCE = /^ {0,3}(`{3,}(?=[^`]*$)|~{3,})/;
const ITEM = /^\s*(?:[-*+]|\d{1,3}[.)])\s+/;

const KINDS = [
  ["quote", (line) => line.startsWith(">")],
  ["numbers", (line) => /^\s*\d/.test(line) && ITEM.test(line)],
  ["bullets", (line) => ITEM.test(line)],
  ["heading", (line) => /^#{1,6}\s/.test(line)],
  ["table", (line) => line.startsWith("|")],
];
const kindOf = (line) => KINDS.find(([, fits]) => fits(line))?.[0] ?? "text";

const isList = (kind) => kind === "bullets" || kind === "numbers";

/** Runs of lines of one kind; blank lines part them, and what is indented goes on with a list. Code ends at its fence. */
function blocks(text) {
  const found = [];
  let parted = true;
  let fence = null;
  for (const line of text.split("\n")) {
    const last = found.at(-1);
    const [, marks] = line.match(FENCE) ?? [];
    if (fence) {
      if (marks?.startsWith(fence) && line.trim() === marks) fence = null;
      else last.lines.push(line);
      continue;
    }
    if (marks) {
      fence = marks;
      found.push({ kind: "code", lines: [] });
      parted = true;
      continue;
    }
    const goesOn = isList(last?.kind) && (/^\s+\S/.test(line) || (!parted && kindOf(line) === "text"));
    const kind = goesOn ? last.kind : kindOf(line);
    if (!line.trim()) { parted = true; continue; }
    if (last && last.kind === kind && (!parted || isList(kind) || kind === "quote") && kind !== "heading") last.lines.push(line);
    else found.push({ kind, lines: [line] });
    parted = false;
  }
  return found;
}

const cells = (line) => line.replace(/^\||\|\s*$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());

export class LiveText {
  #node;
  #citations = new Map();
  #drawn = [];
  text = "";

  constructor(node) { this.#node = node; }

  get citations() { return [...this.#citations.values()]; }

  /** The whole text is sent again; nodes stay until their text differs. */
  restart() { this.text = ""; }

  append(text) {
    this.text += text;
    this.#draw();
  }

  cite(citation) {
    this.#citations.set(citation.marker, citation);
    for (const span of this.#node.querySelectorAll(`span[data-pending="${citation.marker}"]`)) span.replaceWith(citeButton(citation));
  }

  /** Render only blocks whose source has changed, so that text being read or selected stays. */
  #draw() {
    const wanted = blocks(this.text.replace(UNFINISHED, ""));
    wanted.forEach((block, at) => {
      const source = `${block.kind}\n${block.lines.join("\n")}`;
      if (this.#drawn[at] === source) return;
      this.#drawn[at] = source;
      const growing = block.kind === "code" && this.#node.children[at]?.matches(".code") && this.#node.children[at].querySelector("code");
      if (growing) { growing.textContent = block.lines.join("\n"); return; } // its button keeps the focus
      const node = this.#block(block);
      if (this.#node.children[at]) this.#node.children[at].replaceWith(node);
      else this.#node.append(node);
    });
  }

  #block({ kind, lines }) {
    if (kind === "code") return codeBlock(lines.join("\n"));
    if (isList(kind)) return this.#list(kind, lines);
    if (kind === "heading") return el("h3", {}, ...this.#inline(lines[0].replace(/^#+\s+/, "")));
    if (kind === "table") return this.#table(lines);
    if (kind === "quote") return el("blockquote", {}, ...blocks(lines.map((line) => line.replace(/^>\s?/, "")).join("\n")).map((block) => this.#block(block)));
    return el("p", {}, ...this.#inline(lines.join("\n")));
  }

  #list(kind, lines) {
    const items = [];
    for (const line of lines) {
      if (ITEM.test(line)) items.push(line.replace(ITEM, ""));
      else items[items.length - 1] += ` ${line.trim()}`;
    }
    const start = kind === "numbers" ? Number.parseInt(lines[0], 10) : 1;
    return el(kind === "numbers" ? "ol" : "ul", start === 1 ? {} : { start }, ...items.map((item) => el("li", {}, ...this.#inline(item))));
  }

  #table(lines) {
    const rows = lines.filter((line) => !/^[|\s:-]+$/.test(line));
    return el("table", {}, el("tbody", {}, ...rows.map((line, row) => el("tr", {}, ...cells(line).map((cell) => el(row ? "td" : "th", {}, ...this.#inline(cell)))))));
  }

  #inline(text) {
    const nodes = [];
    let at = 0;
    for (const match of text.matchAll(INLINE)) {
      const [whole, escaped, marker, strong, em, code] = match;
      nodes.push(text.slice(at, match.index));
      at = match.index + whole.length;
      if (escaped) nodes.push(escaped);
      else if (marker) nodes.push(this.#marker(Number(marker)));
      else if (strong) nodes.push(el("strong", {}, ...this.#inline(strong)));
      else if (em) nodes.push(el("em", {}, ...this.#inline(em)));
      else nodes.push(el("code", { text: code }));
    }
    return [...nodes, text.slice(at)];
  }

  #marker(number) {
    const citation = this.#citations.get(number);
    return citation ? citeButton(citation) : el("span", { "data-pending": String(number), class: "faint", text: `[${number}]` });
  }
}
