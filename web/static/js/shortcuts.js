// Keyboard shortcuts of every page, and the dialog that lists them.

import { $, $$ } from "./dom.js";
import { openPalette } from "./palette.js";

const mac = /Mac|iPhone|iPad/.test(navigator.userAgentData?.platform ?? navigator.platform);
const sheet = $("#shortcuts");
const FIELDS = "input, textarea, select, [contenteditable]";

const typing = ({ target }) => target.matches?.(FIELDS) && !target.matches("[type=checkbox], [type=radio]");
const modified = (event) => (mac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey) && !event.altKey;
const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey;

function openSheet() {
  if (!sheet.open) sheet.showModal();
}

/** The action of a key, if any. In a field that is not empty, only the palette's shortcut works. */
function meaning(event) {
  const key = event.key.toLowerCase();
  if (modified(event) && key === "k" && !event.shiftKey) return openPalette;
  if ($("dialog[open]") && !$("#palette").open) return null;
  if (modified(event) && event.shiftKey && key === "o" && !(typing(event) && event.target.value)) return () => location.assign("/");
  if (plain(event) && "/?".includes(key) && !typing(event) && !$("dialog[open]")) return openSheet;
  return null;
}

document.addEventListener("keydown", (event) => {
  const act = event.isComposing || event.repeat ? null : meaning(event);
  if (!act) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-palette]")) openPalette();
  if (event.target.closest("[data-shortcuts]")) openSheet();
  if (event.target === sheet || event.target.closest("[data-shortcuts-close]")) sheet.close();
});

if (mac) {
  for (const key of $$("[data-mod]")) key.textContent = "⌘";
  for (const key of $$("[data-alt]")) key.textContent = "⌥";
}
