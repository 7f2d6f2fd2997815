// Versions of an answer, edited questions, and switching between versions.

import { $, $$, announce, clone, fragment, toast } from "./dom.js";
import { api, page } from "./http.js";
import { ask, isRunning, resume } from "./asking.js";
import { rememberFrom } from "./citations.js";
import { process } from "./hx.js";
import { fit, isAskable, onEnter } from "./field.js";
import { t } from "./i18n.js";

const turns = $("#turns");
const conversation = () => $("#main").dataset.conversation;

/** Ask in place of a turn. That turn and those below it stay on the server as another version. */
function replaced(node, question) {
  const { parent, mentioned = "" } = node.dataset;
  while (node.nextElementSibling) node.nextElementSibling.remove();
  node.remove();
  ask(question, parent, mentioned.split(" ").filter(Boolean));
}

export const askAgain = (node) => { if (!isRunning()) replaced(node, $(".question", node).textContent); };

export function edit(node) {
  if (isRunning()) return;
  for (const open of $$(".question-form", turns)) giveUp(open);
  const row = $(".question-row", node);
  const form = clone("edit-template");
  const area = $("textarea", form);
  const submit = () => { if (isAskable(area)) replaced(node, area.value); };
  area.value = $(".question", row).textContent;
  onEnter(area, submit);
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(); });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); giveUp(form); } });
  $("[data-cancel]", form).addEventListener("click", () => giveUp(form));
  row.hidden = true;
  row.after(form);
  fit(area);
  area.focus();
  area.setSelectionRange(area.value.length, area.value.length);
}

function giveUp(form) {
  const row = form.previousElementSibling;
  row.hidden = false;
  form.remove();
  $("[data-edit-question]", row).focus();
}

/** Show the branch of a version, down to its last question. */
export async function showVersion(node, button) {
  const id = button.dataset.version;
  const forward = button.matches(":last-child");
  const { top } = node.getBoundingClientRect();
  try {
    await api("PATCH", `/api/v1/conversations/${conversation()}`, { current: id });
    turns.replaceChildren(fragment(await page(`/conversations/${conversation()}/turns`)));
    process(turns);
  } catch (error) {
    toast(error.message);
    return;
  }
  for (const each of $$(".turn", turns)) rememberFrom(each);
  const shown = $(`.turn[data-message="${id}"]`, turns);
  $("#thread").scrollTop += shown.getBoundingClientRect().top - top;
  const buttons = $$(".versions button", shown);
  ([buttons.at(forward ? 1 : 0), ...buttons].find((each) => each && !each.disabled))?.focus({ preventScroll: true });
  announce(t("Version {number}", { number: $(".versions .num", shown)?.textContent ?? "" }));
  resume();
}

/** Load earlier turns above, without moving what is on screen. */
export async function showEarlier(button) {
  const thread = $("#thread");
  button.disabled = true;
  try {
    const html = await page(`/conversations/${conversation()}/turns?before=${button.dataset.earlier}`);
    const before = thread.scrollHeight - thread.scrollTop;
    const place = button.parentElement;
    const next = place.nextElementSibling;
    place.replaceWith(fragment(html));
    process(turns);
    for (const each of $$(".turn", turns)) rememberFrom(each);
    thread.scrollTop = thread.scrollHeight - before;
    $(".question", next)?.focus({ preventScroll: true });
  } catch (error) {
    button.disabled = false;
    toast(error.message);
  }
}
