// The chat page: the question field, keys, and actions on questions and answers.

import { $, $$, announce, copy, toast } from "./dom.js";
import { text } from "./http.js";
import { ask, halt, isRunning, lastTurn, resume } from "./asking.js";
import { filesReady, wireAttachments } from "./attachments.js";
import { askAgain, edit, showEarlier, showVersion } from "./branches.js";
import { rememberFrom, wireCitations } from "./citations.js";
import { wireCode } from "./code.js";
import { draft } from "./drafts.js";
import { rate } from "./feedback.js";
import { wireFolds } from "./folding.js";
import { fit, isAskable, onEnter } from "./field.js";
import { t } from "./i18n.js";
import { wireMentions } from "./mentions.js";
import { mention, takeMentions, wirePicker } from "./picker.js";
import { openSharing } from "./share.js";
import { wireTemporary } from "./temporary.js";

const turns = $("#turns");
const field = $("#question");
const { panel } = wireCitations(turns);

async function copyAnswer(turn) {
  try {
    await copy(await text(`/api/v1/messages/${turn.dataset.message}/markdown`), t("Copied with sources."));
  } catch (error) {
    toast(error.message);
  }
}

/** Put a question into the field, to be edited and asked. Undo restores what was typed there. */
function putIntoField(question) {
  field.focus();
  field.select();
  if (!document.execCommand("insertText", false, question)) field.value = question;
  fit(field);
  announce(t("The search query is in the question field. Edit it and ask again."));
}

let isWaiting = false;

async function submit() {
  if (isWaiting || isRunning() || !isAskable(field)) return;
  isWaiting = true;
  const ready = await filesReady().finally(() => { isWaiting = false; });
  const question = field.value;
  if (!ready || isRunning() || !isAskable(field)) return;
  field.value = "";
  fit(field);
  isAskable(field);
  ask(question, undefined, takeMentions());
}

async function share(turn) {
  try {
    await openSharing(`/messages/${turn.dataset.message}`);
  } catch (error) {
    toast(error.message);
  }
}

const ACTIONS = {
  "[data-rate]": rate,
  "[data-copy]": copyAnswer,
  "[data-share-answer]": share,
  "[data-edit]": (turn) => putIntoField($("[data-understood]", turn).textContent),
  "[data-edit-question]": edit,
  "[data-again]": askAgain,
  "[data-version]": showVersion,
};

turns.addEventListener("click", (event) => {
  const suggestion = event.target.closest("[data-ask]");
  const earlier = event.target.closest("[data-earlier]");
  const turn = event.target.closest(".turn");
  if (suggestion) ask(suggestion.dataset.ask, undefined, takeMentions());
  else if (earlier) showEarlier(earlier);
  else if (turn) for (const [selector, action] of Object.entries(ACTIONS)) {
    const button = event.target.closest(selector);
    if (button) action(turn, button);
  }
});

wireMentions(field, mention); // first, as Enter picks from its list
onEnter(field, submit);
field.addEventListener("input", () => draft.keep(field.value));
field.addEventListener("keydown", (event) => {
  const last = lastTurn();
  if (event.key !== "ArrowUp" || field.value || !last || isRunning()) return;
  event.preventDefault();
  edit(last);
});
$("#composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
// Before this, submitting the form would have put the question into the URL.
$("#send").disabled = field.disabled;
$("#stop").addEventListener("click", halt);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || document.querySelector("dialog[open]")) return;
  if (isRunning()) halt();
  else if (panel.isOpen) panel.close();
});

for (const turn of $$(".turn", turns)) rememberFrom(turn);
$(".turn:last-of-type", turns)?.scrollIntoView({ block: "start" });
wirePicker();
wireCode(turns);
wireFolds(turns);
wireTemporary();
wireAttachments();
if (!field.disabled && !field.value) field.value = draft.read();
fit(field);
isAskable(field);
$("#thread").tabIndex = -1;
resume();
if ("asked" in field.dataset && !isRunning()) submit();
delete field.dataset.asked;
