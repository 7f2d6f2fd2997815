// Actions on a conversation: from its entry in the list, and from the head of the open one.

import { $, $$, confirmed, toast } from "./dom.js";
import { api } from "./http.js";
import { t } from "./i18n.js";
import { openSharing } from "./share.js";
import { offerUndo, offerUndoAgain } from "./undo.js";

const menu = $("#conversation-menu");
const folderMenu = $("#folder-menu");
const renaming = $("#rename");
const moving = $("#move");
const list = $("#conversations");
const unfolded = new Set(); // ids of open folders, which stay open when the list is rendered again
let meant = null;

const path = ({ id, isFolder = false }, rest = "") => `/api/v1/${isFolder ? "conversation-folders" : "conversations"}/${id}${rest}`;
const open = () => $("#main")?.dataset.conversation ?? "";
const changed = () => document.body.dispatchEvent(new CustomEvent("conversations-changed"));

/** The conversation that a button belongs to. The open one may have got its title after the page was loaded. */
function subjectOf(button) {
  if (button.dataset.folderId) return { button, isFolder: true, id: button.dataset.folderId, title: button.dataset.title };
  const pinned = "pinned" in button.dataset;
  if ("current" in button.dataset) return { button, pinned, id: open(), title: $("#conversation-title").textContent };
  return { button, pinned, id: button.dataset.conversation, title: button.dataset.title };
}

function place(button, menu) {
  const at = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const left = Math.min(Math.max(at.right - width, 8), window.innerWidth - width - 8);
  const below = at.bottom + 4 + height < window.innerHeight;
  Object.assign(menu.style, { left: `${left}px`, top: `${below ? at.bottom + 4 : Math.max(at.top - height - 4, 8)}px` });
}

menu.addEventListener("menu-open", ({ detail: button }) => {
  meant = subjectOf(button);
  $("[data-if-pinned]", menu).hidden = !meant.pinned;
  $("[data-if-loose]", menu).hidden = meant.pinned;
  $("[data-if-open]", menu).hidden = meant.id !== open();
  for (const link of $$("[data-export]", menu)) link.href = path(meant, `/export?format=${link.dataset.export}`);
  place(button, menu);
});

folderMenu.addEventListener("menu-open", ({ detail: button }) => {
  meant = subjectOf(button);
  place(button, folderMenu);
});

/** Return the focus to the button that opened the menu, or to its successor if the list was rendered again. */
function refocus() {
  const button = meant?.button.isConnected ? meant.button : $$(".rail-options", list).find((each) => meant && [each.dataset.conversation, each.dataset.folderId].includes(meant.id));
  button?.focus({ preventScroll: true });
}

async function tried(work) {
  try {
    await work();
  } catch (error) {
    toast(error.message);
  }
}

async function pin({ id, pinned }) {
  await api("PATCH", path({ id }), { pinned: !pinned });
  if (id === open()) $("[data-menu][data-current]")?.toggleAttribute("data-pinned", !pinned);
  changed();
}

function rename({ title, isFolder }) {
  $("#rename-input").value = title;
  $("#rename-input").maxLength = isFolder ? 60 : 200;
  $("[data-error]", renaming).hidden = true;
  renaming.showModal();
  $("#rename-input").select();
}

function showTitle(title) {
  $("#conversation-title").textContent = title;
  document.title = `${title} · Cairn`;
}

async function renamed(title) {
  await api("PATCH", path(meant), meant.isFolder ? { name: title } : { title });
  if (!meant.isFolder && meant.id === open()) showTitle(title);
  renaming.close();
  changed();
}

async function remove({ id }) {
  await api("DELETE", path({ id }, "?restorable=true"));
  offerUndo(id, id === open());
  if (id === open()) location.assign("/");
  else changed();
}

/** Fill the dialog with the folders that there are now. */
async function move(conversation) {
  const [{ items }, { folder }] = await Promise.all([api("GET", "/api/v1/conversation-folders?limit=200"), api("GET", path(conversation))]);
  const select = $("#move-folder");
  select.replaceChildren(select.options[0], ...items.map(({ id, name }) => new Option(name, id)));
  select.value = folder ?? "";
  $("#move-new").value = "";
  $("[data-error]", moving).hidden = true;
  moving.showModal();
}

async function moved() {
  const name = $("#move-new").value.trim();
  const folder = name ? (await api("POST", "/api/v1/conversation-folders", { name })).id : $("#move-folder").value || null;
  await api("PATCH", path(meant), { folder });
  moving.close();
  changed();
}

async function removeFolder({ id, title }) {
  const text = t("Its conversations are kept, without a folder.");
  if (!(await confirmed({ title: t("Delete folder “{title}”?", { title }), text, yes: t("Delete folder") }))) return;
  await api("DELETE", path({ id, isFolder: true }));
  changed();
}

const ACTS = { pin, rename, remove, move, removeFolder, share: ({ id }) => openSharing(`/conversations/${id}`), print: () => window.print() };

for (const each of [menu, folderMenu]) each.addEventListener("click", (event) => {
  const act = ACTS[event.target.closest("[data-act]")?.dataset.act];
  if (act) tried(() => act(meant));
});

for (const dialog of [renaming, moving]) $("[data-close]", dialog).addEventListener("click", () => dialog.close());
for (const dialog of [renaming, moving, $("#share")]) dialog.addEventListener("close", refocus);
$("form", renaming).addEventListener("submit", (event) => {
  event.preventDefault();
  const title = $("#rename-input").value.trim();
  renamed(title).catch((error) => Object.assign($("[data-error]", renaming), { textContent: error.message, hidden: false }));
});

$("form", moving).addEventListener("submit", (event) => {
  event.preventDefault();
  moved().catch((error) => Object.assign($("[data-error]", moving), { textContent: error.message, hidden: false }));
});
list.addEventListener("toggle", ({ target }) => {
  if (target.dataset.folder) unfolded[target.open ? "add" : "delete"](target.dataset.folder);
}, true);

// The list by keyboard: from the search field down into it, and from entry to entry.
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return;
  const entries = $$("a.rail-link, summary.rail-link, .rail-rest", list).filter((each) => each.checkVisibility());
  const at = entries.indexOf(document.activeElement.closest?.(".rail-item")?.querySelector("a") ?? document.activeElement);
  const next = entries[at + step];
  if (next) next.focus();
  else if (step < 0) $("#find-conversation").focus();
  event.preventDefault();
}

list.addEventListener("keydown", walk);
$("#find-conversation").addEventListener("keydown", (event) => { if (event.key === "ArrowDown") walk(event); });
// After loading more, the first new entry gets the focus that the button had.
list.addEventListener("htmx:afterSwap", (event) => {
  for (const folder of $$("[data-folder]:not([open])", list)) if (unfolded.has(folder.dataset.folder)) folder.open = true;
  const entry = open() && $(`.rail-options[data-conversation="${open()}"]`, list);
  if (entry) showTitle(entry.dataset.title); // it follows an edited first question
  if (event.target.matches("[data-rest]")) $("a", event.target)?.focus({ preventScroll: true });
  else if (document.activeElement === document.body) refocus();
});

offerUndoAgain();
