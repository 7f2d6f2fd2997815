// Feedback on an answer: thumbs up or down, with a reason for down. It can be changed and withdrawn.

import { $, $$, announce, clone, toast } from "./dom.js";
import { api } from "./http.js";
import { t } from "./i18n.js";

const address = (turn) => `/api/v1/messages/${turn.dataset.message}/feedback`;
const isPressed = (button) => button.getAttribute("aria-pressed") === "true";
const thank = () => toast(t("Thanks. The document owners will see this."));

function press(turn, rating, { reason = "", comment = "" } = {}) {
  for (const button of $$("[data-rate]", turn)) button.setAttribute("aria-pressed", String(button.dataset.rate === rating));
  Object.assign($('[data-rate="down"]', turn).dataset, { reason, comment });
}

async function give(turn, said) {
  await api("POST", address(turn), said);
  press(turn, said.rating, said);
}

async function takeBack(turn) {
  await api("DELETE", address(turn));
  press(turn, "");
  close(turn);
  toast(t("Rating removed."));
}

function close(turn) {
  const form = $("[data-feedback]", turn);
  if (!form) return;
  const inside = form.contains(document.activeElement);
  form.remove();
  if (inside) $('[data-rate="down"]', turn).focus({ preventScroll: true });
}

export async function rate(turn, button) {
  try {
    if (button.dataset.rate === "down") await disliked(turn, button);
    else if (isPressed(button)) await takeBack(turn);
    else {
      await give(turn, { rating: "up" });
      close(turn);
      thank();
    }
  } catch (error) {
    toast(error.message);
  }
}

/** The rating is saved at once; the reason may follow. */
async function disliked(turn, button) {
  if ($("[data-feedback]", turn)) { close(turn); return; }
  if (!isPressed(button)) await give(turn, { rating: "down" });
  openForm(turn, button.dataset);
}

function openForm(turn, { reason, comment }) {
  for (const other of $$("[data-feedback]")) other.remove();
  const form = clone("feedback-template");
  $("textarea", form).value = comment;
  const chosen = $$("input[name=reason]", form).find((each) => each.value === reason);
  if (chosen) chosen.checked = true;
  form.addEventListener("submit", (event) => { event.preventDefault(); sent(turn, form); });
  form.addEventListener("keydown", (event) => { if (event.key === "Escape") { event.stopPropagation(); close(turn); } });
  $("[data-close]", form).addEventListener("click", () => close(turn));
  $("[data-take-back]", form).addEventListener("click", () => takeBack(turn).catch((error) => toast(error.message)));
  $(".answer-actions", turn).after(form);
  form.scrollIntoView({ block: "nearest" });
  (chosen ?? $("input", form)).focus({ preventScroll: true });
  announce(t("Thanks. What went wrong?"));
}

async function sent(turn, form) {
  const said = { rating: "down", reason: form.elements.reason.value, comment: form.elements.comment.value.trim() };
  try {
    await give(turn, said);
    close(turn);
    thank();
  } catch (error) {
    Object.assign($("[data-error]", form), { textContent: error.message, hidden: false });
  }
}
