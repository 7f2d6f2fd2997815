// DOM helpers, shared by the modules.

import { language, number, t } from "./i18n.js";

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (name === "class") node.className = value;
    else if (name === "text") node.textContent = value;
    else if (name in node && typeof value !== "string") node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function icon(name, small = true) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("class", small ? "icon icon-s" : "icon");
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

export const clone = (id) => document.getElementById(id).content.firstElementChild.cloneNode(true);

/** Parse HTML from our own server into nodes. Scripts in it never run. */
export function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}

export const announce = (text) => { document.getElementById("announce").textContent = text; };

/** It stays while it is pointed at or has the focus. */
export function toast(text, { action, label, ms = 8000 } = {}) {
  const node = el("div", { class: "toast" }, el("span", { text }));
  if (action) node.append(el("button", { type: "button", class: "button", text: label, onclick: () => { node.remove(); action(); } }));
  document.getElementById("toasts")?.append(node);
  const leave = () => {
    if (node.matches(":hover, :focus-within")) setTimeout(leave, 2000);
    else node.remove();
  };
  setTimeout(leave, ms);
  return node;
}

const NEXT_TOAST = "cairn-toast";

/** Show a toast on the page that follows. */
export function toastAfterwards(text) {
  try { sessionStorage.setItem(NEXT_TOAST, text); } catch { /* then there is none */ }
}

export function showToastOfPageBefore() {
  try {
    const text = sessionStorage.getItem(NEXT_TOAST);
    sessionStorage.removeItem(NEXT_TOAST);
    if (text) toast(text);
  } catch { /* nothing is kept */ }
}

export function confirmed({ title, text, yes }) {
  const dialog = document.getElementById("confirm");
  $("[data-title]", dialog).textContent = title;
  $("[data-text]", dialog).replaceChildren(...[text ?? ""].flat());
  const accept = $("[data-yes]", dialog);
  accept.textContent = yes;
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    accept.onclick = () => dialog.close("yes");
    $("[data-no]", dialog).onclick = () => dialog.close("");
    dialog.onclose = () => resolve(dialog.returnValue === "yes");
  });
}

export async function copy(text, message = t("Copied.")) {
  try {
    await navigator.clipboard.writeText(text);
    toast(message);
  } catch {
    toast(t("Your browser blocked copying. Select the text and copy it yourself."));
  }
}

export function bytes(n) {
  const units = ["B", "KB", "MB", "GB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit += 1; }
  return `${number(n, { maximumFractionDigits: unit && n < 10 ? 1 : 0 })} ${units[unit]}`;
}

const AGO = new Intl.RelativeTimeFormat(language, { numeric: "auto" });
const STEPS = [["minute", 60], ["hour", 3600], ["day", 86400]];

export function ago(iso) {
  const seconds = (Date.parse(iso) - Date.now()) / 1000;
  if (Math.abs(seconds) < 45) return t("just now");
  if (Math.abs(seconds) > 6 * 86400) return null;
  const [unit, size] = STEPS.findLast(([, length]) => Math.abs(seconds) >= length * 0.9) ?? STEPS[0];
  return AGO.format(Math.round(seconds / size), unit);
}

export function tellTimes(root = document) {
  for (const time of $$("time[data-ago]", root)) {
    const date = new Date(time.dateTime);
    time.title = date.toLocaleString(language);
    time.textContent = ago(time.dateTime) ?? date.toLocaleDateString(language, { day: "numeric", month: "short", year: "numeric" });
  }
}
