// Page fragments loaded on events: the subset of htmx's attributes that Cairn uses, with the same meaning: hx-get, hx-post,
// hx-trigger, hx-target, hx-swap (the content of the target, or the target itself), hx-swap-oob, hx-include, hx-vals, hx-disabled-elt.
// A response with the header HX-Refresh reloads the page.

import { $, $$, fragment } from "./dom.js";
import { csrfToken, isStale, withToken } from "./http.js";

const WIRED = "[hx-get], [hx-post]";
const wired = new WeakSet();
const running = new WeakMap();

/** Attributes are inherited by descendants. */
const readAttribute = (node, name) => node.closest(`[${name}]`)?.getAttribute(name) ?? "";
const json = (node, name) => JSON.parse(readAttribute(node, name) || "{}");
const tell = (node, name, detail = {}) => node.dispatchEvent(new CustomEvent(`htmx:${name}`, { bubbles: true, detail }));

function found(node, selector) {
  if (!selector) return node;
  const [word, rest] = [selector.split(" ", 1)[0], selector.slice(selector.indexOf(" ") + 1)];
  if (selector === "this") return node.closest("[hx-target]");
  if (word === "closest") return node.closest(rest);
  return word === "find" ? $(rest, node) : $(selector);
}

/** "input changed delay:200ms from:#field once" */
function parsed(text) {
  const [event, ...more] = text.trim().split(/\s+/);
  const value = (name) => more.find((word) => word.startsWith(`${name}:`))?.slice(name.length + 1);
  return { event, from: value("from"), delay: milliseconds(value("delay")), every: event === "every" ? milliseconds(more[0]) : 0, changed: more.includes("changed"), once: more.includes("once") };
}

const milliseconds = (text = "0") => parseFloat(text) * (/\ds$/.test(text) ? 1000 : 1);

function usual(node) {
  if (node.matches("form")) return "submit";
  return node.matches("input, select, textarea") ? "change" : "click";
}

function wire(node) {
  if (wired.has(node)) return;
  wired.add(node);
  for (const text of (node.getAttribute("hx-trigger") ?? usual(node)).split(",")) listen(node, parsed(text));
}

function listen(node, { event, from, delay, every, changed, once }) {
  let timer = 0;
  let last = null;
  if (every) timer = setInterval(() => (node.isConnected ? load(node) : clearInterval(timer)), every);
  else if (event === "load") setTimeout(load, delay, node);
  else for (const source of from ? $$(from) : [node]) source.addEventListener(event, function heard(happened) {
    if (!node.isConnected) { source.removeEventListener(event, heard); return; }
    if (event === "submit" || (event === "click" && node.matches("a, button"))) happened.preventDefault();
    if (changed && (last ??= source.defaultValue) === source.value) return;
    last = source.value;
    clearTimeout(timer);
    if (delay) timer = setTimeout(load, delay, node);
    else load(node);
  }, { once });
}

function parameters(node) {
  const form = new URLSearchParams();
  const add = (from) => { for (const [name, value] of from.matches("form") ? new FormData(from) : from.name ? [[from.name, from.value]] : []) form.set(name, value); };
  for (const each of readAttribute(node, "hx-include") ? $$(readAttribute(node, "hx-include")) : []) add(each);
  if (node.matches("form, input, select, textarea, button")) add(node);
  for (const [name, value] of Object.entries(json(node, "hx-vals"))) form.set(name, value);
  return form;
}

async function load(node) {
  running.get(node)?.abort();
  const abort = new AbortController();
  running.set(node, abort);
  const waits = node.getAttribute("hx-disabled-elt") === "this";
  if (waits) node.disabled = true;
  try {
    await swapped(node, await fetched(node, abort.signal));
  } catch (error) {
    if (error.name !== "AbortError") tell(node.isConnected ? node : document.body, "sendError");
  } finally {
    if (waits) node.disabled = false;
  }
}

function fetched(node, signal) {
  const headers = { "HX-Request": "true" };
  const common = { headers, signal, credentials: "same-origin" };
  const post = node.getAttribute("hx-post");
  if (post !== null) {
    const body = parameters(node);
    return withToken(() => fetch(post, { ...common, method: "POST", body, headers: { "X-CSRFToken": csrfToken(), ...headers } }));
  }
  const url = new URL(node.getAttribute("hx-get"), location.href);
  for (const [name, value] of parameters(node)) url.searchParams.set(name, value);
  return fetch(url, common);
}

async function swapped(node, response) {
  if (!response.ok) { tell(node, "responseError", { xhr: { status: response.status }, stale: await isStale(response) }); return; }
  if (response.headers.get("HX-Refresh") === "true") { location.reload(); return; }
  const content = fragment(await response.text());
  const target = found(node, readAttribute(node, "hx-target"));
  if (!target) return;
  const focused = document.activeElement?.id;
  const unfolded = $$("details[id][open]", target).map((each) => each.id);
  for (const apart of $$("[hx-swap-oob]", content)) {
    apart.remove();
    document.getElementById(apart.id)?.replaceWith(apart);
  }
  const parent = target.parentElement;
  const whole = readAttribute(node, "hx-swap").startsWith("outer");
  const fresh = content.firstElementChild;
  if (whole) target.replaceWith(content);
  else target.replaceChildren(content);
  const shown = whole ? fresh ?? parent : target;
  for (const id of unfolded) document.getElementById(id)?.setAttribute("open", "");
  process(whole ? parent : target);
  if (focused && document.activeElement === document.body) document.getElementById(focused)?.focus({ preventScroll: true });
  tell(shown, "afterSwap", { elt: shown });
  tell(shown, "afterSettle", { elt: shown });
}

export function process(root) {
  for (const node of $$(WIRED, root)) wire(node);
}

process(document);
