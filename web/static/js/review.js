// The person responsible for a document, and its next review.

import { $, confirmed, el } from "./dom.js";
import { api } from "./http.js";
import { t } from "./i18n.js";

const WAIT_MS = 200;

function wire(box) {
  const at = `/api/v1/documents/${box.dataset.care}`;
  const form = $("form", box);
  if (!form) return;
  const [owner, date, days] = ["#care-owner", "#care-date", "#care-days"].map((id) => $(id, form));
  const before = owner.value;
  const people = new Map(); // user name -> id
  let timer = 0;

  async function suggest() {
    const found = await api("GET", `${at}/owners?q=${encodeURIComponent(owner.value)}`).catch(() => []);
    for (const { id, username } of found) people.set(username, id);
    $("datalist", form).replaceChildren(...found.map(({ username }) => el("option", { value: username })));
  }

  async function changes() {
    const values = { review_by: date.value || null, review_days: Number(days.value) };
    const name = owner.value.trim();
    if (name === before) return values;
    if (name && !people.has(name)) await suggest();
    if (name && !people.has(name)) throw new Error(t("“{name}” doesn’t exist or can’t read this document.", { name }));
    return { ...said, owner: name ? people.get(name) : null };
  }

  $("[data-edit-care]", box).addEventListener("click", ({ currentTarget: button }) => {
    form.hidden = !form.hidden;
    button.setAttribute("aria-expanded", String(!form.hidden));
    if (!form.hidden) { owner.focus(); suggest(); }
  });
  owner.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(suggest, WAIT_MS); });
  const tell = (error) => { $("[data-error]", form).textContent = error.message; $("[data-error]", form).hidden = false; form.hidden = false; };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    changes().then((values) => api("PATCH", at, values)).then(() => location.reload(), tell);
  });
  $("[data-reviewed]", box).addEventListener("click", async ({ currentTarget: button }) => {
    const next = days.selectedOptions[0].textContent.trim();
    const sure = await confirmed({ title: t("Mark as reviewed?"), text: t("Marks “{title}” as still correct. The next review is due {next}.", { title: button.dataset.title, next }), yes: t("Mark as reviewed") });
    if (sure) api("POST", `${at}/review`, { days: Number(days.value) }).then(() => location.reload(), tell);
  });
}

const box = $("[data-care]");
if (box) wire(box);
