// Where to search: knowledge bases, and filters by document, tag and age. Chips show the selection.
// Knowledge bases mentioned with "@" replace the selected ones for one question.

import { $, $$, el, icon, toast } from "./dom.js";
import { api } from "./http.js";
import { t, tn } from "./i18n.js";

const DAY_MS = 86_400_000;
const WAIT_MS = 200;
const main = $("#main");
const picker = $("#picker");
const picked = $("#picked");
const find = $("#pick-document");
const tag = $("#pick-tag"); // null if no document has a tag
const within = $("#pick-within");
const documents = new Map(); // id -> title
const tags = new Set();
const mentioned = new Map(); // id -> name
const MOST_CHIPS = 6;
let timer = 0;

const bases = () => $$('input[name="kb"]:checked', picker);

/** The fields of a question in the REST API that limit the search. `only`: ids of the knowledge bases that it mentions. */
export function choice(only) {
  const said = {};
  const filters = {};
  const ids = only.length ? only : bases().map((box) => box.value);
  if (ids.length) said.knowledge_bases = ids;
  if (documents.size) filters.document_ids = [...documents.keys()];
  if (tags.size) filters.tags = [...tags];
  if (within.value) filters.updated_after = new Date(Date.now() - within.value * DAY_MS).toISOString();
  if (Object.keys(filters).length) said.filters = filters;
  return said;
}

export function mention(id, name) {
  mentioned.set(id, name);
  show();
}

/** Return the ids of the mentioned knowledge bases, and forget them. */
export function takeMentions() {
  const ids = [...mentioned.keys()];
  mentioned.clear();
  show();
  return ids;
}

// Stored for the conversation, in this tab. Titles are not: the next person at this browser may not be allowed to read them. -------------

const key = () => `cairn-asked:${main.dataset.conversation || "new"}`;

function keep() {
  const state = { bases: bases().map((box) => box.value), documents: [...documents.keys()], tags: [...tags], within: within.value };
  try { sessionStorage.setItem(key(), JSON.stringify(state)); } catch { /* it then lasts as long as the page */ }
}

function kept() {
  const [{ type } = {}] = performance.getEntriesByType("navigation");
  // A new chat starts without filters, unless it was only reloaded.
  if (!main.dataset.conversation && (type === "navigate" || location.search)) return null;
  try { return JSON.parse(sessionStorage.getItem(key())); } catch { return null; }
}

async function restore() {
  const state = kept();
  if (!state) return;
  for (const box of $$('input[name="kb"]', picker)) box.checked = state.bases.includes(box.value);
  for (const name of state.tags) tags.add(name);
  within.value = state.within;
  for (const id of state.documents) documents.set(id, "…");
  show();
  for (const id of state.documents) {
    const found = await api("GET", `/api/v1/documents/${id}`).catch((error) => (error.status === 404 ? null : { title: "…" }));
    if (found) documents.set(id, found.title);
    else { documents.delete(id); toast(t("A document you selected no longer exists.")); }
  }
  show();
}

// Chips ----------------------------------------------------------------------------------------------------------

function chip(text, remove) {
  const button = el("button", { type: "button", class: "chip picked-chip", title: t("Remove"), onclick: () => { remove(); changed(); $("#question").focus(); } }, el("span", { class: "truncate", text }), icon("close"), el("span", { class: "visually-hidden", text: t("Remove") }));
  return el("li", {}, button);
}

/** More than a few are one chip: the list that they are chosen from tells which. */
function baseChips() {
  if (mentioned.size) return [...mentioned].map(([id, name]) => chip(t("@{name}: this question only", { name }), () => mentioned.delete(id)));
  const all = bases();
  if (all.length > MOST_CHIPS) return [chip(tn("{n} knowledge base", "{n} knowledge bases", all.length), () => all.forEach(clear))];
  return all.map((box) => chip(box.dataset.name, () => clear(box)));
}

const clear = (box) => { box.checked = false; };

function show() {
  const chosen = bases();
  $("#picker-label").textContent = chosen.length === 0 ? t("All knowledge bases") : chosen.length === 1 ? chosen[0].dataset.name : tn("{n} knowledge base", "{n} knowledge bases", chosen.length);
  const ids = new Set(chosen.map((box) => box.value));
  for (const button of $$("#welcome button[data-base]")) button.setAttribute("aria-pressed", String(ids.has(button.dataset.base)));
  const chips = [
    ...baseChips(),
    ...[...documents].map(([id, title]) => chip(t("Only: {title}", { title }), () => documents.delete(id))),
    ...[...tags].map((name) => chip(t("Tag: {name}", { name }), () => tags.delete(name))),
    ...(within.value ? [chip(within.selectedOptions[0].textContent, () => { within.value = ""; })] : []),
  ];
  picked.replaceChildren(...chips);
  picked.hidden = chips.length === 0;
}

function changed() { show(); keep(); }

function add(id, title) {
  documents.set(id, title);
  find.value = "";
  $("#pick-found").replaceChildren();
  changed();
}

async function look() {
  const list = $("#pick-found");
  const q = find.value.trim();
  const { items } = q ? await api("GET", `/api/v1/documents?limit=6&status=ready&q=${encodeURIComponent(q)}`).catch(() => ({ items: [] })) : { items: [] };
  if (q !== find.value.trim()) return;
  list.replaceChildren(...items.map(({ id, title }) => el("button", { type: "button", class: "menu-item", onclick: (event) => { event.stopPropagation(); add(id, title); find.focus(); } }, icon("doc"), el("span", { class: "truncate", text: title }))));
  if (q && !items.length) list.append(el("p", { class: "hint", text: t("No matching titles.") }));
}

export function wirePicker() {
  picker.addEventListener("change", ({ target }) => {
    if (tag && target === tag && tag.value) { tags.add(tag.value); tag.value = ""; }
    if (target !== find) changed();
  });
  find.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, WAIT_MS); });
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); $("button", $("#pick-found"))?.click(); } });
  $("#welcome")?.addEventListener("click", ({ target }) => {
    const id = target.closest("button[data-base]")?.dataset.base;
    const box = id && $$('input[name="kb"]', picker).find((each) => each.value === id);
    if (box) { box.checked = !box.checked; changed(); }
  });
  // The first answer creates the conversation, for which the selection is then stored.
  new MutationObserver(keep).observe(main, { attributeFilter: ["data-conversation"] });
  if (picked.dataset.document) documents.set(picked.dataset.document, picked.dataset.title);
  show();
  restore();
}
