// Fields for questions: as high as what is in them, and clear about what is too long before it is sent.

import { number, t, tn } from "./i18n.js";

const TELL_FROM = 0.9;
/** Characters as the server counts them. */
const lengthOf = (text) => [...text.trim()].length;

export function fit(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

/** Says how long it is where that matters; whether it can be asked. */
export function isAskable(area) {
  const longest = Number(area.dataset.longest);
  const length = area.value.length < TELL_FROM * longest ? 0 : lengthOf(area.value);
  const note = document.getElementById(area.getAttribute("aria-describedby"));
  const over = length - longest;
  if (length < TELL_FROM * longest) note.textContent = "";
  else if (over <= 0) note.textContent = t("{length} of {longest} characters", { length, longest });
  else note.textContent = tn("Too long by 1 character (limit {longest}). Shorten it, or upload the text as a document.", "Too long by {n} characters (limit {longest}). Shorten it, or upload the text as a document.", over, { longest: number(longest) });
  area.setAttribute("aria-invalid", String(over > 0));
  return over <= 0 && area.value.trim() !== "";
}

/** Enter asks, Shift+Enter makes a line; what an input method composes is left alone. */
export function onEnter(area, action) {
  area.addEventListener("input", () => { fit(area); isAskable(area); });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    action();
  });
}
