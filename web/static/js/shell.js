// What every page has: the menu on phones, pop-up menus, the theme, confirmations, being offline.

import { $, $$, confirmed, showToastOfPageBefore, tellTimes, toast } from "./dom.js";
import { forgetDrafts } from "./drafts.js";
import { STALE } from "./http.js";
import "./hx.js";
import "./conversation.js";
import { t } from "./i18n.js";
import "./shortcuts.js";

const rail = $("#rail");
const stage = $(".stage");

function openRail(open) {
  rail.toggleAttribute("data-open", open);
  $("[data-rail-open]").setAttribute("aria-expanded", String(open));
  stage.inert = open;
  (open ? $("a, button", rail) : $("[data-rail-open]")).focus();
}

let opener = null; // button of the last menu that was open

function closeMenus({ except, refocus = false } = {}) {
  for (const button of $$('[data-menu][aria-expanded="true"]')) {
    if (button === except) continue;
    button.setAttribute("aria-expanded", "false");
    document.getElementById(button.dataset.menu).hidden = true;
    if (refocus) button.focus();
  }
}

function toggleMenu(button) {
  const menu = document.getElementById(button.dataset.menu);
  closeMenus({ except: button });
  const open = menu.hidden;
  menu.hidden = !open;
  button.setAttribute("aria-expanded", String(open));
  if (!open) return;
  opener = button;
  menu.dispatchEvent(new CustomEvent("menu-open", { detail: button }));
  // Near the lower edge of a scrolling page a menu opens upwards.
  if (!menu.dataset.placed) menu.dataset.placed = menu.classList.contains("menu-up") ? "up" : "down";
  if (menu.dataset.placed === "down" && !menu.classList.contains("menu-fixed")) {
    menu.classList.remove("menu-up-right");
    menu.classList.toggle("menu-up-right", menu.getBoundingClientRect().bottom > window.innerHeight - 8);
  }
  $("a, button, input", menu)?.focus({ preventScroll: true });
}

function walkMenu(event) {
  const menu = event.target.closest(".menu");
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!menu || !step) return;
  const items = $$("a, button, input", menu).filter((item) => !item.disabled && !item.hidden);
  items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
  event.preventDefault();
}

function showChoice() {
  const theme = document.documentElement.dataset.theme ?? "auto";
  for (const button of $$("[data-theme-choice]")) button.setAttribute("aria-pressed", String(button.dataset.themeChoice === theme));
}

function chooseTheme(theme) {
  try {
    if (theme === "auto") localStorage.removeItem("cairn-theme");
    else localStorage.setItem("cairn-theme", theme);
  } catch { /* the choice then lasts as long as the page */ }
  window.applyTheme(theme);
  showChoice();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-menu]");
  if (button) toggleMenu(button);
  else if (!event.target.closest(".menu") || event.target.closest(".menu-item")) closeMenus();
  if (event.target.closest("[data-rail-open]")) openRail(true);
  if (event.target.closest("[data-rail-close]")) openRail(false);
  const theme = event.target.closest("[data-theme-choice]");
  if (theme) chooseTheme(theme.dataset.themeChoice);
});

document.addEventListener("keydown", (event) => {
  walkMenu(event);
  if (event.key !== "Escape") return;
  if ($('[data-menu][aria-expanded="true"]')) { closeMenus({ refocus: true }); event.stopPropagation(); }
  else if (rail.hasAttribute("data-open")) { openRail(false); event.stopPropagation(); }
}, true);

document.addEventListener("submit", (event) => { if (event.target.matches("[data-sign-out]")) forgetDrafts(); });

// A dialog opened from a menu cannot return the focus to it: the menu has closed.
document.addEventListener("close", () => {
  const focused = document.activeElement;
  const lost = focused === document.body || !focused.checkVisibility();
  if (lost && opener?.isConnected) opener.focus();
}, true);

document.addEventListener("submit", async (event) => {
  const form = event.target.closest("form[data-confirm]");
  if (!form || form.dataset.agreed) return;
  event.preventDefault();
  const { confirm: title, text, yes } = form.dataset;
  if (!(await confirmed({ title, text, yes }))) return;
  form.dataset.agreed = "yes";
  form.requestSubmit();
});

const offline = $("#offline");
// A browser without internet access reports itself offline, though it may still reach Cairn: ask the server.
const showOnline = async () => {
  const reached = navigator.onLine || await fetch("/healthz", { cache: "no-store" }).then(() => true, () => false);
  offline.hidden = reached;
};
window.addEventListener("online", showOnline);
window.addEventListener("offline", showOnline);

document.body.addEventListener("htmx:sendError", () => toast(t("Can’t reach the server. Check your connection.")));
document.body.addEventListener("htmx:responseError", (event) => {
  const signedOut = [401, 403].includes(event.detail.xhr.status);
  if (event.detail.stale) toast(STALE);
  else toast(signedOut ? t("You’ve been signed out or no longer have access.") : t("Something went wrong. Try again in a moment."));
});
document.body.addEventListener("htmx:afterSettle", (event) => tellTimes(event.detail.elt));

showChoice();
showOnline();
showToastOfPageBefore();
tellTimes();
