// The library: one search over all documents, by title and properties or by content.

import { $, fragment, tellTimes, toast } from "./dom.js";
import { page } from "./http.js";
import { process } from "./hx.js";

const WAIT_MS = 250;
const form = $("#find");
const found = $("#found");
const inside = $("#find-inside");
let timer = 0;
let asked = 0;

function readFields() {
  const fields = new URLSearchParams(new FormData(form));
  for (const [name, value] of [...fields]) if (!value) fields.delete(name);
  return fields;
}

const within = () => inside.getAttribute("aria-pressed") === "true";

/** The URL contains the search, so that it can be reloaded, bookmarked and shared. */
function remember(fields) {
  const query = fields.toString();
  history.replaceState(null, "", query ? `${form.action}?${query}` : form.action);
}

async function look() {
  clearTimeout(timer);
  const mine = ++asked;
  const fields = readFields();
  const alone = [...fields.keys()].every((name) => name === "sort");
  remember(fields);
  $("#shelf").hidden = !alone || within();
  found.setAttribute("aria-busy", "true");
  try {
    const html = await page(`${within() ? form.dataset.inside : form.dataset.found}?${fields}`);
    if (mine !== asked) return;
    found.replaceChildren(fragment(html));
    process(found);
    tellTimes(found);
  } catch (error) {
    if (mine === asked) toast(error.message);
  }
  if (mine === asked) found.setAttribute("aria-busy", "false");
}

if (form) {
  form.addEventListener("submit", (event) => { event.preventDefault(); look(); });
  form.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(look, within() ? 2 * WAIT_MS : WAIT_MS); });
  found.addEventListener("click", (event) => {
    const asTyped = event.target.closest("[data-ask]");
    if (asTyped) { form.elements.q.value = asTyped.dataset.ask; look(); }
  });
  inside.addEventListener("click", () => { inside.setAttribute("aria-pressed", String(!within())); look(); });
}
