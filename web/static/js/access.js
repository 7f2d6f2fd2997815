// Access to a knowledge base or a document: the list of subjects, and a preview of who gains and loses access.

import { $, $$, confirmed, el, toast } from "./dom.js";
import { api } from "./http.js";
import "./combobox.js";
import { clearProblem, showProblem } from "./console.js";
import { t, tn } from "./i18n.js";

const NAMED = 8;
const KINDS = { group: t("group"), user: t("user") };

function named({ count, people }) {
  const names = people.slice(0, NAMED).map((person) => person.label);
  return count > names.length ? t("{names} and {n} more", { names: names.join(", "), n: count - names.length }) : names.join(", ");
}

/** A line with a sign and a colour; the words alone say the same. */
function line(kind, sign, some, say) {
  if (!some.count) return [];
  const words = say(some.count, { names: named(some) });
  return [el("span", { class: `access-line access-${kind}` }, el("span", { class: "access-sign", "aria-hidden": "true" }, sign), el("span", {}, words))];
}

/** The effect of a change, as lines; none if nobody's access changes. */
function effectLines({ gains, losses, changes }) {
  return [
    ...line("loss", "−", losses, (n, names) => tn("{n} person loses access: {names}.", "{n} people lose access: {names}.", n, names)),
    ...line("gain", "+", gains, (n, names) => tn("{n} person gains access: {names}.", "{n} people gain access: {names}.", n, names)),
    ...line("change", "↔", changes, (n, names) => tn("{n} person changes role: {names}.", "{n} people change role: {names}.", n, names)),
  ];
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
      const lines = effectLines(await api("POST", form.dataset.effect, wanted));
      if (lines.length && !(await confirmed({ title: t("Change access?"), text: [...lines, t("This applies immediately.")], yes: t("Save") }))) return;
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
