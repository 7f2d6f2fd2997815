// Long questions show their first lines, and all of them when asked to.

import { $ } from "./dom.js";

export function fold(turn, folded) {
  const button = $("[data-unfold]", turn);
  $(".question", turn).classList.toggle("question-folded", folded);
  button.hidden &&= !folded;
  button.setAttribute("aria-expanded", String(!folded));
  button.textContent = folded ? button.dataset.all : button.dataset.fewer;
}

export function wireFolds(turns) {
  turns.addEventListener("click", ({ target }) => {
    const button = target.closest("[data-unfold]");
    if (button) fold(button.closest(".turn"), button.getAttribute("aria-expanded") === "true");
  });
}
