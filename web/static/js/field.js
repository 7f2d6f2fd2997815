// Question fields: they grow with their text, and warn before sending when it is too long.

import { number, t, tn } from "./i18n.js";

const TELL_FROM = 0.9;
/** Characters as the server counts them. */
const lengthOf = (text) => [...text.trim()].length;

export function fit(area) {
  if (CSS.supports("field-sizing", "content")) return;
  area.style.height = "auto";
  area.style.height = `${area.scrollHeight}px`;
}

/** Show the length when it nears the limit. Returns whether the question can be asked. */
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

/** Enter asks, Shift+Enter inserts a line break. Enter that confirms an input method's composition does neither. */
export function onEnter(area, action) {
  area.addEventListener("input", () => { fit(area); isAskable(area); });
  area.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    action();
  });
}
