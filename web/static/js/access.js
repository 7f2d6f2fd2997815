// Access to a knowledge base or a document: the list of subjects, and a preview of who gains and loses access.

import { $, $$, confirmed, toast } from "./dom.js";
import { api } from "./http.js";
import "./combobox.js";
import { clearProblem, showProblem } from "./console.js";
import { t, tn } from "./i18n.js";

const NAMED = 8;
const KINDS = { group: t("group"), user: t("user") };

function named({ count, people }) {
  const names = people.slice(0, NAMED).map((person) => person.username);
  return count > names.length ? t("{names} and {n} more", { names: names.join(", "), n: count - names.length }) : names.join(", ");
}

const sentence = (some, say) => (some.count ? [say(some.count, { names: named(some) })] : []);

/** The effect of a change, in words; empty if nobody's access changes. */
function told({ gains, losses, changes }) {
  return [
    ...sentence(losses, (n, names) => tn("{n} person loses access: {names}.", "{n} people lose access: {names}.", n, names)),
    ...sentence(gains, (n, names) => tn("{n} person gains access: {names}.", "{n} people gain access: {names}.", n, names)),
    ...sentence(changes, (n, names) => tn("{n} person changes role: {names}.", "{n} people change role: {names}.", n, names)),
  ].join(" ");
}

function wire(form) {
  const rows = $("[data-rows]", form);
  const save = $("button:not([type])", form);
  const picker = $("[data-combobox]", form);
  const everyone = $("[data-everyone]", form); // documents only: not narrowed
  const changed = () => {
    save.disabled = false;
    $("[data-nobody]", form).hidden = rows.children.length > 0;
    if (everyone) $("[data-chosen]", form).hidden = everyone.checked;
  };
  const value = () => {
    const subjects = $$("[data-subject]", rows);
    if (everyone) return { readers: everyone.checked ? null : subjects.map((row) => row.dataset.subject) };
    return subjects.map((row) => ({ subject: row.dataset.subject, role: $("select", row).value }));
  };
  picker.addEventListener("choose", ({ detail: { value: subject, label } }) => {
    let row = $$("[data-subject]", rows).find((each) => each.dataset.subject === subject);
    if (!row) {
      row = $("template", form).content.firstElementChild.cloneNode(true);
      row.dataset.subject = subject;
      $("[data-name]", row).textContent = label;
      $("[data-kind]", row).textContent = KINDS[subject.split(":")[0]] ?? "";
      $("select", row)?.setAttribute("aria-label", t("Role of {name}", { name: label }));
      $("[data-remove]", row).setAttribute("aria-label", t("Remove access for {name}", { name: label }));
      rows.append(row);
      changed();
    }
    ($("select", row) ?? $("[data-remove]", row)).focus();
  });
  rows.addEventListener("click", (event) => { if (event.target.closest("[data-remove]")) { event.target.closest("[data-subject]").remove(); changed(); $("[role=combobox]", picker).focus(); } });
  form.addEventListener("change", changed);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    clearProblem(form);
    const wanted = value();
    try {
      const text = told(await api("POST", form.dataset.effect, wanted));
      if (text && !(await confirmed({ title: t("Change access?"), text: t("{changes} This applies immediately.", { changes: text }), yes: t("Save") }))) return;
      await api(form.dataset.method, form.dataset.access, wanted);
      save.disabled = true;
      toast(t("Saved. The change applies immediately."));
      document.getElementById("people")?.dispatchEvent(new Event("due"));
    } catch (problem) {
      showProblem(form, problem);
    }
  });
  changed();
  save.disabled = true;
}

for (const form of $$("form[data-access]")) wire(form);
