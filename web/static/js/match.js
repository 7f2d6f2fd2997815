// Finding a quoted passage in the elements of a rendition.
//
// A quote comes from a chunk, which joins elements by line breaks, may repeat a table's header and has normalised white space.
// So white space and cell separators are ignored on both sides.

const SKIPPED = /[\s|]/u;

function squeeze(text) {
  const positions = [];
  let letters = "";
  for (let i = 0; i < text.length; i += 1) {
    if (SKIPPED.test(text[i])) continue;
    letters += text[i];
    positions.push(i);
  }
  return { letters, positions };
}

function index(elements) {
  const places = [];
  let letters = "";
  for (const [at, element] of elements.entries()) {
    const squeezed = squeeze(element.text);
    for (const position of squeezed.positions) places.push([at, position]);
    letters += squeezed.letters;
  }
  return { letters, places };
}

function allOf(haystack, needle) {
  const found = [];
  for (let at = haystack.indexOf(needle); at >= 0 && found.length < 200; at = haystack.indexOf(needle, at + 1)) found.push(at);
  return found;
}

const RANGES = /[A-Z]+(\d+)(?::[A-Z]+(\d+))?/g;

/** The sheet and the rows that "Sheet1!A5:D9" or "row 5 (A5:D5)" names; null where no cells are named. */
function rowsOf(location) {
  const cells = (location ?? "").slice((location ?? "").lastIndexOf("!") + 1);
  const rows = [...cells.matchAll(RANGES)].map(([, first, last]) => [Number(first), Number(last ?? first)]);
  return rows.length ? { sheet: location.includes("!") ? location.split("!")[0].replace(/^'|'$/g, "").replaceAll("''", "'") : null, rows } : null;
}

function inRows([at, position], elements, wanted) {
  const { sheet = null, cells = [], text } = elements[at];
  if (!wanted || sheet !== wanted.sheet) return false;
  const line = text.slice(0, position).split("\n").length - 1;
  const row = Number(/\d+/.exec(cells[line] ?? "")?.[0]);
  return wanted.rows.some(([first, last]) => row >= first && row <= last);
}

const same = (a, b) => (a ?? []).join("\u0000") === (b ?? []).join("\u0000");

function best(starts, places, elements, hint) {
  const rows = rowsOf(hint.location);
  const score = (start) => {
    const element = elements[places[start][0]];
    return (inRows(places[start], elements, rows) ? 4 : 0) + (hint.page != null && element.page === hint.page ? 2 : 0) + (hint.section && same(element.section, hint.section) ? 1 : 0);
  };
  return starts.reduce((kept, start) => (kept === null || score(start) > score(kept) ? start : kept), null);
}

function ranges(places, start, length) {
  const found = new Map();
  for (const [at, position] of places.slice(start, start + length)) {
    const range = found.get(at);
    if (range) range[1] = position + 1;
    else found.set(at, [position, position + 1]);
  }
  return found;
}

function wholly(quote, { letters, places }, elements, hint) {
  const needle = squeeze(quote).letters;
  if (!needle) return null;
  const start = best(allOf(letters, needle), places, elements, hint);
  return start === null ? null : ranges(places, start, needle.length);
}

/** Map of element position -> [start, end) in its text; empty if the passage is not there. */
export function locate(elements, quote, hint = {}) {
  const text = index(elements);
  const whole = wholly(quote, text, elements, hint);
  if (whole) return whole;
  const found = new Map();
  for (const line of quote.split(/\n+/)) {
    if (squeeze(line).letters.length < 8) continue;
    for (const [at, range] of wholly(line, text, elements, hint) ?? []) if (!found.has(at)) found.set(at, range);
  }
  return found;
}
