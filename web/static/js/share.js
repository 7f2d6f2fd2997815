// Sharing a conversation inside the organisation: who may open its link, and up to which message.

import { $, $$, copy, el, fragment, icon, toast } from "./dom.js";
import { api, page } from "./http.js";
import { t } from "./i18n.js";

const dialog = $("#share");
const WAIT_MS = 200;
const found = new Map();
let timer = 0;
let asked = 0;

const form = () => $("form", dialog);
const chosen = () => $$("[data-readers] [data-subject]", dialog).map((each) => each.dataset.subject);
const everyone = () => $("[name=to]:checked", dialog).value === "everyone";
const url = () => `/api/v1${form().dataset.path}/share`;

/** `path`: of a conversation, or of one answer. */
export async function openSharing(path) {
  dialog.replaceChildren(fragment(await page(`${path}/sharing`)));
  if (!dialog.open) dialog.showModal();
}

function say(text) {
  Object.assign($("[data-error]", dialog), { textContent: text, hidden: !text });
}

async function put(renew = false) {
  const made = !form().dataset.shared;
  await api("PUT", url(), { subjects: everyone() ? ["everyone"] : chosen(), renew });
  await openSharing(form().dataset.path);
  toast(made ? t("Link created.") : renew ? t("Link updated.") : t("Saved."));
  if (made) $("#share-link").select();
}

async function suggest(text) {
  const turn = (asked += 1);
  if (text.trim().length < 2) return;
  const subjects = await api("GET", `/api/v1/share-subjects?q=${encodeURIComponent(text.trim())}`);
  if (turn !== asked) return;
  for (const each of subjects) found.set(each.name.toLowerCase(), each);
  $("#share-names").replaceChildren(...subjects.map(({ name, label }) => el("option", { value: name, label: label || name })));
}

async function add() {
  const field = $("#share-name");
  const name = field.value.trim();
  if (!name) return;
  await suggest(name);
  const subject = found.get(name.toLowerCase());
  if (!subject) throw new Error(t("No matching person or group found."));
  if (!chosen().includes(subject.subject)) $("[data-readers]", dialog).append(reader(subject));
  field.value = "";
  field.focus();
}

function reader({ subject, name: given, label }) {
  const name = label || given;
  return el("li", { class: "chip", "data-subject": subject }, el("span", { text: name }), el("button", { type: "button", class: "chip-remove", "aria-label": t("Remove {name}", { name }) }, icon("close")));
}

async function end() {
  await api("DELETE", url());
  dialog.close();
  toast(t("Sharing stopped."));
}

const ACTS = {
  add, end,
  close: () => dialog.close(),
  copy: () => copy($("#share-link").value, t("Link copied.")),
  renew: () => put(true),
  save: () => put(),
};

async function tried(work) {
  say("");
  try {
    await work();
  } catch (error) {
    say(error.message);
  }
}

dialog.addEventListener("click", (event) => {
  const act = event.target.closest("[data-share]")?.dataset.share;
  if (act) tried(ACTS[act]);
  const remove = event.target.closest(".chip-remove");
  if (remove) { remove.closest("li").remove(); $("#share-name").focus(); }
});
dialog.addEventListener("change", (event) => {
  if (event.target.name === "to") $("[data-some]", dialog).hidden = everyone();
});
dialog.addEventListener("input", (event) => {
  if (event.target.id !== "share-name") return;
  clearTimeout(timer);
  timer = setTimeout(() => suggest(event.target.value).catch(() => {}), WAIT_MS);
});
dialog.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || !event.target.matches("input")) return;
  event.preventDefault();
  if (event.target.id === "share-name") tried(add);
});
