// The command palette: search results for a few letters, selected by arrow keys while the field keeps the focus.

import { $, $$, el, fragment } from "./dom.js";
import { page } from "./http.js";
import { t, tn } from "./i18n.js";

const dialog = $("#palette");
const field = $("#palette-field");
const list = $("#palette-list");
const WAIT_MS = 150;
let timer = 0;
let asked = 0;

const entries = () => $$("[role=option]", list);

function choose(entry) {
  for (const each of entries()) each.setAttribute("aria-selected", String(each === entry));
  if (entry) field.setAttribute("aria-activedescendant", entry.id);
  else field.removeAttribute("aria-activedescendant");
  entry?.scrollIntoView({ block: "nearest" });
}

const chosen = () => $('[aria-selected="true"]', list);

function walk(step) {
  const all = entries();
  if (all.length) choose(all[(all.indexOf(chosen()) + step + all.length) % all.length]);
}

async function find() {
  const turn = (asked += 1);
  list.setAttribute("aria-busy", "true");
  let found;
  try {
    found = fragment(await page(`/palette?q=${encodeURIComponent(field.value.trim())}`));
  } catch (error) {
    found = el("p", { class: "error-text palette-none", text: error.message });
  }
  if (turn !== asked) return;
  list.removeAttribute("aria-busy");
  list.replaceChildren(found);
  choose(entries()[0]);
  $("#palette-count").textContent = entries().length ? tn("1 result.", "{n} results.", entries().length) : t("No results.");
}

export function openPalette() {
  if (dialog.open) { field.select(); return; }
  field.value = "";
  list.replaceChildren();
  dialog.showModal();
  field.focus();
  find();
}

field.addEventListener("input", () => {
  clearTimeout(timer);
  timer = setTimeout(find, WAIT_MS);
});

field.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (event.isComposing || !(step || event.key === "Enter")) return;
  event.preventDefault();
  if (step) walk(step);
  else chosen()?.click();
});

list.addEventListener("pointermove", (event) => {
  const entry = event.target.closest("[role=option]");
  if (entry && entry !== chosen()) choose(entry);
});
// A link to the open page would not load it again.
list.addEventListener("click", (event) => { if (event.target.closest("a")) dialog.close(); });
dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("[data-palette-close]")) dialog.close(); });
