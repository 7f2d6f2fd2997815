// Blocks of code with a button that copies them, however they got onto the page.

import { $$, copy, el, icon } from "./dom.js";
import { t } from "./i18n.js";

const isBare = (pre) => !pre.parentElement?.classList.contains("code");

function copyButton(pre) {
  const onclick = () => copy(pre.textContent.replace(/\n$/, ""), t("Code copied."));
  return el("button", { type: "button", class: "button button-plain code-copy", title: t("Copy code"), "aria-label": t("Copy code"), onclick }, icon("copy"));
}

/** A wide block is scrolled by keyboard, too. */
function frame(pre) {
  for (const [name, value] of Object.entries({ tabindex: "0", role: "group", "aria-label": t("Code") })) pre.setAttribute(name, value);
  const box = el("div", { class: "code" });
  pre.replaceWith(box);
  box.append(pre, copyButton(pre));
  return box;
}

export const codeBlock = (...content) => {
  const holder = el("div", {}, el("pre", {}, el("code", {}, ...content)));
  return frame(holder.firstElementChild);
};

function frameAll(node) {
  if (node.nodeType !== Node.ELEMENT_NODE) return;
  for (const pre of [...(node.matches("pre") ? [node] : []), ...$$("pre", node)]) if (isBare(pre)) frame(pre);
}

/** Answers come and go: streamed, rendered by the server, in other versions. */
export function wireCode(root) {
  frameAll(root);
  new MutationObserver((records) => { for (const { addedNodes } of records) addedNodes.forEach(frameAll); }).observe(root, { childList: true, subtree: true });
}
