// "@" in the question field: a list of knowledge bases to search for this question, walked by arrow keys
// while the field keeps the focus.

import { $, $$, fragment } from "./dom.js";
import { page } from "./http.js";
import { tn } from "./i18n.js";

const WAIT_MS = 120;
const LONGEST = 60;
const TYPED = /(?:^|\s)@([^@\n]*)$/;
const list = $("#mentions");
let field;
let timer = 0;
let asked = 0;
let given = -1; // where an "@" stands that the person has said no to

/** Where the "@" before the caret is, and what follows it. */
function typed() {
  const { selectionStart: caret, selectionEnd: end, value } = field;
  const found = caret === end && value.slice(0, caret).match(TYPED);
  if (!found || found[1].length > LONGEST) return null;
  return { start: caret - found[1].length - 1, end: caret, text: found[1] };
}

const options = () => $$("[role=option]", list);
const chosen = () => $('[aria-selected="true"]', list);

function choose(option) {
  for (const each of options()) each.setAttribute("aria-selected", String(each === option));
  field.setAttribute("aria-activedescendant", option.id);
  option.scrollIntoView({ block: "nearest" });
}

function close() {
  clearTimeout(timer);
  asked += 1;
  list.hidden = true;
  field.removeAttribute("aria-activedescendant");
  field.removeAttribute("aria-controls");
  $("#mentions-count").textContent = "";
}

async function find(text) {
  const turn = (asked += 1);
  const found = await page(`${list.dataset.address}q=${encodeURIComponent(text)}`).catch(() => "");
  if (turn !== asked) return;
  list.replaceChildren(fragment(found));
  const all = options();
  if (!all.length) return close();
  list.hidden = false;
  field.setAttribute("aria-controls", list.id);
  choose(all[0]);
  $("#mentions-count").textContent = tn("{n} knowledge base. Use the arrow keys and Enter to choose.", "{n} knowledge bases. Use the arrow keys and Enter to choose.", all.length);
}

function look() {
  const mention = typed();
  if (!mention) given = -1;
  if (!mention || mention.start === given) return close();
  clearTimeout(timer);
  timer = setTimeout(find, WAIT_MS, mention.text);
}

function take(option, onPick) {
  const mention = typed();
  close();
  if (mention) field.setRangeText("", mention.start, mention.end, "end");
  onPick(option.dataset.base, option.dataset.name);
  field.focus();
  field.dispatchEvent(new Event("input", { bubbles: true }));
}

function onKey(event, onPick) {
  if (list.hidden || event.isComposing) return;
  const all = options();
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step) choose(all[(all.indexOf(chosen()) + step + all.length) % all.length]);
  else if (event.key === "Enter" && !event.shiftKey) take(chosen(), onPick);
  else if (event.key === "Escape") { given = typed()?.start ?? -1; close(); }
  else return;
  event.preventDefault();
  event.stopImmediatePropagation();
}

/** Before the other listeners of the field's keys, which ask on Enter. `onPick` gets the id and the name. */
export function wireMentions(area, onPick) {
  field = area;
  field.addEventListener("keydown", (event) => onKey(event, onPick));
  field.addEventListener("input", look);
  field.addEventListener("click", look);
  field.addEventListener("blur", close);
  list.addEventListener("pointerdown", (event) => event.preventDefault()); // the field keeps the focus
  list.addEventListener("click", (event) => {
    const option = event.target.closest("[role=option]");
    if (option) take(option, onPick);
  });
}
