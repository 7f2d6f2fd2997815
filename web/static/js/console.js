// Forms that call the REST API, and access to a knowledge base.

import { $, $$, confirmed, el, toast, toastAfterwards } from "./dom.js";
import { wireDocuments } from "./documents.js";
import { api } from "./http.js";
import { number, t, tn } from "./i18n.js";

const usesDecimalComma = number(0.5).includes(",");

/** A number as the page's language writes it, in the notation of the REST API. */
const decimal = (text) => (usesDecimalComma && text.includes(",") ? text.replaceAll(".", "").replace(",", ".") : text);

function valueOf(input) {
  if (input.hasAttribute("data-bool")) return input.checked;
  if (input.hasAttribute("data-nullable") && input.value === "") return null;
  if (input.type === "number") return input.value === "" ? null : Number(input.value);
  if (input.inputMode === "decimal") return decimal(input.value);
  if (input.hasAttribute("data-lines")) return input.value.split("\n").map((line) => line.trim()).filter(Boolean);
  return input.value;
}

function payload(form) {
  const data = {};
  for (const input of $$("[name]", form)) {
    const { name } = input;
    if (input.hasAttribute("data-list")) { data[name] ??= []; if (input.checked || (input.type === "hidden" && !input.disabled)) data[name].push(input.value); }
    else if (input.type === "radio") { if (input.checked) data[name] = input.value; }
    else if (!(input.hasAttribute("data-optional") && input.value === "")) data[name] = valueOf(input);
  }
  return data;
}

/** The visible field of an error; entries of a list belong to the list's field. */
function fieldOf(form, { loc = [] }) {
  const field = form.elements.namedItem(loc.findLast((part) => typeof part === "string") ?? "");
  return field?.closest && !field.hidden && field.type !== "hidden" ? field : null;
}

/** Show what is wrong with a field below it. */
function showFieldError(field, text) {
  const id = `${field.id || field.name}-problem`;
  const shown = document.getElementById(id);
  if (shown) { shown.textContent += ` ${text}`; return; }
  field.closest(".field").append(el("p", { class: "error-text break", id, "data-field-error": "", text }));
  field.setAttribute("aria-describedby", `${field.getAttribute("aria-describedby") ?? ""} ${id}`.trim());
}

export function showProblem(form, { message, errors = [] }) {
  const lines = [];
  for (const error of errors) {
    const field = fieldOf(form, error);
    field?.setAttribute("aria-invalid", "true");
    if (field?.closest(".field")) showFieldError(field, error.msg);
    else lines.push(error.msg);
  }
  const isShownAtFields = errors.length > lines.length;
  const box = $("[data-error]", form);
  box.textContent = [isShownAtFields ? t("Correct the marked fields.") : message, ...lines].filter(Boolean).join(" ");
  box.hidden = false;
  $('[aria-invalid="true"]', form)?.focus();
}

export function clearProblem(form) {
  $("[data-error]", form).hidden = true;
  for (const note of $$("[data-field-error]", form)) {
    const field = $(`[aria-describedby~="${note.id}"]`, form);
    field.setAttribute("aria-describedby", field.getAttribute("aria-describedby").replace(note.id, "").trim());
    note.remove();
  }
  for (const input of $$("[aria-invalid]", form)) input.removeAttribute("aria-invalid");
}

/** What the browser can tell before anything is sent. It hides what was typed into a number field and isn't a number. */
function findErrors(form) {
  const found = [];
  for (const input of form.elements) {
    const loc = [input.name || input.id];
    if (input.validity.badInput) found.push({ loc, msg: input.type === "number" ? t("Enter a number.") : t("Check this value.") });
    else if (input.required && !input.value.trim()) found.push({ loc, msg: t("Fill in this field.") });
  }
  return found;
}

function then(form, answer) {
  const what = form.dataset.then ?? "reload";
  if (what === "saved") { toast(t("Saved.")); return; }
  toastAfterwards(form.dataset.method === "DELETE" ? t("Deleted “{title}”.", { title: form.dataset.typed }) : t("Saved."));
  if (what.startsWith("go:")) location.assign(what.slice(3).replace(/\{(\w+)\}/, (_, name) => answer?.[name] ?? ""));
  else location.reload();
}

/** A name in braces stands for the choice of the field of that name. */
const address = (form) => form.dataset.api.replace(/\{(\w+)\}/, (_, name) => $(`[data-in-address="${name}"]`, form).value);

async function submit(form) {
  clearProblem(form);
  const errors = findErrors(form);
  if (errors.length) { showProblem(form, { message: "", errors }); return; }
  const button = $("button:not([type])", form);
  button.setAttribute("aria-busy", "true");
  const method = form.dataset.method ?? "POST";
  try {
    then(form, await api(method, address(form), method === "DELETE" ? undefined : payload(form)));
  } catch (problem) {
    showProblem(form, problem);
  } finally {
    button.removeAttribute("aria-busy");
  }
}

async function remove(button) {
  const { removeApi, title, text, heading = t("Delete"), yes = t("Delete"), go } = button.dataset;
  if (!(await confirmed({ title: t("{action} “{title}”?", { action: heading, title }), text, yes }))) return;
  try {
    await api("DELETE", removeApi);
    if (!button.dataset.heading) toastAfterwards(t("Deleted “{title}”.", { title }));
    if (go) location.assign(go);
    else location.reload();
  } catch (error) {
    toast(error.message);
  }
}

async function post(button) {
  const { post: path, retryCode: code, said } = button.dataset;
  button.setAttribute("aria-busy", "true");
  try {
    const answer = await api("POST", path ?? "/api/v1/jobs/retry", path ? undefined : { code });
    toast(said ?? tn("Retrying {n} file.", "Retrying {n} files.", answer.retried));
    if (code) worked();
    else setTimeout(() => location.reload(), 1200);
  } catch (error) {
    toast(error.message);
    button.removeAttribute("aria-busy");
  }
}

// The queue, what failed, and the imports ---------------------------------------------------------

const LOOK_MS = 5000;
const due = (id) => $(`#${id}`)?.dispatchEvent(new Event("due"));

/** Don't refresh failures while the user has one open, or imports after the user has loaded more. */
function look() {
  if (document.hidden) return;
  if (!$("#failures details[open]")) due("failures");
  if ($$("#imports > li").length <= 21) due("imports");
}

function worked() {
  for (const id of ["queue", "failures", "imports"]) due(id);
}

function changed({ retried, cancelled }) {
  if (cancelled) { toast(t("Cancelling…")); due("queue"); return; }
  toast(t("Retrying."));
  const row = $(`[data-retry-job="${retried}"]`).closest("li");
  $("summary", row.closest("details")).focus();
  row.remove();
  due("queue");
}

function wireQueue() {
  wireDocuments({ changed });
  setInterval(look, LOOK_MS);
}

for (const form of $$("form[data-api]")) {
  form.addEventListener("submit", (event) => { event.preventDefault(); submit(form); });
  const typed = $("[data-typed-input]", form);
  typed?.addEventListener("input", () => { $("button:not([type])", form).disabled = typed.value.trim() !== form.dataset.typed; });
}
for (const button of $$("[data-remove-api]")) button.addEventListener("click", () => remove(button));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-post], [data-retry-code]");
  if (button) post(button);
});
if ($("#queue")) wireQueue();
