// Sources: the guided dialog that sets one up, and the actions on a source's page.

import { $, $$, announce, copy, el, fragment, toast, toastAfterwards } from "./dom.js";
import { api, page } from "./http.js";
import { t } from "./i18n.js";

// The guided dialog: one step of the form at a time. Without scripts, all steps are shown below each other.

function wireSteps(form) {
  const steps = $$("[data-step]", form);
  const actions = $(".form-actions", form);
  const save = $("button", actions);
  const back = el("button", { type: "button", class: "button", text: t("Back") });
  const next = el("button", { type: "button", class: "button button-primary", text: t("Next") });
  const titles = steps.map((step) => $("h2", step).textContent);
  const marks = titles.map((text) => el("li", { text }));
  const list = el("ol", { class: "step-marks", role: "list", "aria-label": t("Steps") }, ...marks);
  let current = 0;

  function open(at, focus = true) {
    current = at;
    for (const [i, step] of steps.entries()) step.hidden = i !== at;
    for (const [i, mark] of marks.entries()) {
      mark.toggleAttribute("data-done", i < at);
      if (i === at) mark.setAttribute("aria-current", "step");
      else mark.removeAttribute("aria-current");
    }
    back.hidden = at === 0;
    next.hidden = at === steps.length - 1;
    save.hidden = at !== steps.length - 1;
    list.scrollIntoView({ block: "nearest" });
    announce(t("Step {n} of {all}: {title}", { n: String(at + 1), all: String(steps.length), title: titles[at] }));
    if (focus) $("h2", steps[at]).focus();
  }

  /** Whether every required field of the step is filled in; the first that isn't gets the focus. */
  function isComplete(step) {
    let first = null;
    for (const input of $$("[required]", step)) {
      const id = `${input.id}-missing`;
      document.getElementById(id)?.remove();
      const missing = !input.value.trim();
      if (!missing) {
        if (!document.getElementById(`${input.id}-problem`)) input.removeAttribute("aria-invalid");
        continue;
      }
      input.setAttribute("aria-invalid", "true");
      input.closest(".field").append(el("p", { class: "error-text", id, text: t("Fill in this field.") }));
      first ??= input;
    }
    first?.focus();
    if (first) announce(t("Fill in this field."));
    return !first;
  }

  function forward() {
    if (isComplete(steps[current])) open(current + 1);
  }

  form.before(list);
  actions.prepend(back, next);
  back.addEventListener("click", () => open(current - 1));
  next.addEventListener("click", forward);
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !event.target.matches("input") || event.defaultPrevented || current === steps.length - 1) return;
    event.preventDefault();
    forward();
  });
  form.addEventListener("submit", (event) => {
    const missing = steps.findIndex((step) => $$("[required]", step).some((input) => !input.value.trim()));
    if (missing < 0) return;
    event.preventDefault();
    open(missing, false);
    isComplete(steps[missing]);
  });
  form.addEventListener("input", () => {
    for (const id of ["source-test", "source-preview"]) document.getElementById(id).replaceChildren();
  });
  const wrong = $('[aria-invalid="true"]', form);
  open(wrong ? steps.indexOf(wrong.closest("[data-step]")) : 0, false);
}

// A source's page -------------------------------------------------------------------------------------------

const due = () => $("#source-progress")?.dispatchEvent(new Event("due"));

/** Show the current counts in the filter of documents, too. */
function updateFilter(progress) {
  for (const option of $$("#of-state option")) {
    const tally = $(`[data-state="${option.value}"]`, progress);
    if (tally) option.textContent = `${$("dt", tally).textContent} (${$("dd", tally).textContent})`;
  }
}

/** Show the documents as they are now, unless somebody is in their list. */
async function updateItems() {
  const answer = fragment(await page(location.href));
  const [items, now] = [$("#source-items"), $("#source-items", answer)];
  if (now && !items.contains(document.activeElement)) items.replaceChildren(...now.childNodes);
}

/** Announce each task whose state has changed. */
function follow(progress) {
  const states = () => new Map($$(".source-task", progress).map((task) => [task.id, `${$("h3", task).textContent}: ${$(".tag", task).textContent}`]));
  let before = states();
  new MutationObserver(() => {
    const now = states();
    const changed = [...now].filter(([id, text]) => before.get(id) !== text).map(([, text]) => text);
    before = now;
    updateFilter(progress);
    if (!changed.length) return;
    announce(changed.join(". "));
    updateItems().catch(() => {});  // the next change tries again
  }).observe(progress, { childList: true });
}

async function sync(button) {
  button.disabled = true;
  try {
    await api("POST", button.dataset.sourceSync, { task: button.dataset.task });
    toast(t("The sync starts in a moment."));
  } catch (error) {
    toast(error.message);
  }
  due();
}

async function verify(button) {
  button.disabled = true;
  try {
    await api("POST", button.dataset.verifySource);
    location.reload();
  } catch (error) {
    toast(error.message);
    button.disabled = false;
  }
}

async function pause(button) {
  button.setAttribute("aria-busy", "true");
  try {
    await api("PATCH", button.dataset.sourcePause, { enabled: button.dataset.enabled === "true" });
    location.reload();
  } catch (error) {
    toast(error.message);
    button.removeAttribute("aria-busy");
  }
}

async function remove(form) {
  const button = $("button:not([type])", form);
  const box = $("[data-error]", form);
  box.hidden = true;
  button.setAttribute("aria-busy", "true");
  try {
    await api("DELETE", `${form.dataset.deleteForm}?delete_documents=${new FormData(form).get("delete_documents")}`);
    toastAfterwards(t("Deleted “{title}”.", { title: form.dataset.title }));
    location.assign(form.dataset.go);
  } catch (error) {
    box.textContent = error.message;
    box.hidden = false;
    button.removeAttribute("aria-busy");
  }
}

function wireDelete(dialog) {
  const form = $("form", dialog);
  $("[data-source-delete]").addEventListener("click", () => dialog.showModal());
  $("[data-no]", form).addEventListener("click", () => dialog.close());
  form.addEventListener("submit", (event) => { event.preventDefault(); remove(form); });
}

// Its webhook

function wireWebhook(section) {
  const path = section.dataset.webhook;
  const fields = { url: $("[data-webhook-url]", section), secret: $("[data-webhook-secret]", section) };

  async function create() {
    try {
      const made = await api("POST", path);
      for (const [name, field] of Object.entries(fields)) field.textContent = made[name];
      $("[data-new-webhook]", section).hidden = false;
      $('[data-copy-webhook="secret"]', section).focus();
    } catch (error) {
      toast(error.message);
    }
  }

  async function remove() {
    try {
      await api("DELETE", path);
      toastAfterwards(t("The webhook is removed."));
      location.reload();
    } catch (error) {
      toast(error.message);
    }
  }

  $("[data-create-webhook]", section).addEventListener("click", create);
  $("[data-remove-webhook]", section)?.addEventListener("click", remove);
  for (const button of $$("[data-copy-webhook]", section)) {
    button.addEventListener("click", () => copy(fields[button.dataset.copyWebhook].textContent, t("Copied.")));
  }
}

// People of a source ----------------------------------------------------------------------------------------

async function link(box, user) {
  try {
    await api("PUT", box.dataset.linkPerson ?? box.dataset.unlinkPerson, { user });
    location.reload();
  } catch (error) {
    toast(error.message);
  }
}

for (const form of $$("form[data-steps]")) wireSteps(form);
$('form:not([data-steps]) [aria-invalid="true"]')?.focus();
$("form[data-steps] [aria-invalid='true']")?.focus();
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-source-sync], [data-verify-source], [data-source-pause], [data-unlink-person]");
  if (button?.matches("[data-source-sync]")) sync(button);
  else if (button?.matches("[data-verify-source]")) verify(button);
  else if (button?.matches("[data-source-pause]")) pause(button);
  else if (button) link(button, null);
});
document.addEventListener("choose", (event) => {
  const box = event.target.closest("[data-link-person]");
  if (box) link(box, event.detail.value);
});
if ($("#source-progress")) follow($("#source-progress"));
if ($("[data-webhook]")) wireWebhook($("[data-webhook]"));
if ($("#delete-source")) wireDelete($("#delete-source"));
