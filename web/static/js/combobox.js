// Searchable pickers (the combobox pattern of ARIA): the server finds a few options that match what is typed.
// A picker chooses one value (data-name), several as chips (data-multiple), or only reports a choice ("choose").

import { $, $$, el, fragment, icon } from "./dom.js";
import { page } from "./http.js";
import { t } from "./i18n.js";

const WAIT_MS = 150;

function wire(box) {
  const field = $("[role=combobox]", box);
  const list = $("[role=listbox]", box);
  const popup = $("[data-popup]", box);
  const note = $("[data-note]", box);
  const value = $("[data-choice]", box);
  const chips = $("[data-chips]", box);
  let timer = 0;
  let asked = 0;
  let shown = field.value; // the label that belongs to the value

  const options = () => $$('[role=option]:not([aria-disabled="true"])', list);
  const active = () => $('[aria-selected="true"]', list);

  function mark(option) {
    for (const each of $$("[role=option]", list)) each.setAttribute("aria-selected", String(each === option));
    if (option) field.setAttribute("aria-activedescendant", option.id);
    else field.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  function open(isOpen) {
    popup.hidden = !isOpen;
    if (isOpen) place();
    field.setAttribute("aria-expanded", String(isOpen));
    if (!isOpen) mark(null);
  }

  /** Open upwards where the list would end below the window and there is more room above. */
  function place() {
    popup.classList.remove("combobox-list-up");
    const { top, bottom } = field.getBoundingClientRect();
    const ends = popup.getBoundingClientRect().bottom;
    popup.classList.toggle("combobox-list-up", ends > innerHeight && top > innerHeight - bottom);
  }

  async function find() {
    const turn = (asked += 1);
    const url = new URL(box.dataset.combobox, location.href);
    url.searchParams.set("q", field.value === shown ? "" : field.value.trim());
    let found;
    try {
      found = fragment(await page(url));
    } catch (error) {
      found = el("div", {}, el("p", { text: error.message }));
    }
    if (turn !== asked || document.activeElement !== field) return;
    note.textContent = $("p", found)?.textContent ?? "";
    list.replaceChildren(...$$("[role=option]", found));
    for (const [at, option] of $$("[role=option]", list).entries()) option.id = `${list.id}-${at}`;
    open(true);
  }

  /** Without an option, or with what was typed left unfinished, nothing is chosen. */
  function settle(option) {
    asked += 1;
    clearTimeout(timer);
    if (value) {
      if (option) { value.value = option.value; shown = option.label; }
      else if (!field.value.trim()) { value.value = ""; shown = ""; }
    }
    field.value = value ? shown : "";
    open(false);
  }

  function choose(item) {
    const label = item.dataset.label;
    const whole = item.dataset.value;
    const option = { value: "plain" in box.dataset ? whole.split(":").at(-1) : whole, label };
    if (chips) addChip(option);
    settle(option);
    box.dispatchEvent(new CustomEvent("choose", { bubbles: true, detail: { ...option, kind: whole.split(":")[0] } }));
    if (value || chips) field.dispatchEvent(new Event("change", { bubbles: true }));
  }

  function addChip({ value: id, label }) {
    if ($$("input", chips).some((input) => input.value === id)) return;
    const remove = el("button", { type: "button", class: "chip-remove", "data-chip-remove": "", "aria-label": t("Remove {name}", { name: label }) }, icon("close"));
    const input = el("input", { type: "hidden", name: box.dataset.name, value: id, "data-list": "" });
    chips.append(el("li", {}, el("span", { class: "chip" }, el("span", { class: "truncate", text: label }), input, remove)));
  }

  field.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(find, WAIT_MS); });
  field.addEventListener("click", () => { if (popup.hidden) { field.select(); find(); } });
  field.addEventListener("blur", () => settle());
  field.addEventListener("keydown", (event) => {
    if (event.isComposing) return;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      const all = options();
      if (popup.hidden) find();
      else if (all.length) mark(all[(all.indexOf(active()) + step + (step < 0 && !active() ? 1 : 0) + all.length) % all.length]);
    } else if (event.key === "Enter") {
      if (popup.hidden) return;
      event.preventDefault();
      const item = active() ?? (field.value.trim() ? options()[0] : null);
      if (item) choose(item);
    } else if (event.key === "Escape" && !popup.hidden) {
      event.preventDefault();
      event.stopPropagation();
      settle();
    }
  });
  // The field keeps the focus, so that its blur does not close the list before the click.
  popup.addEventListener("pointerdown", (event) => event.preventDefault());
  list.addEventListener("click", (event) => {
    const item = event.target.closest('[role=option]:not([aria-disabled="true"])');
    if (item) choose(item);
  });
  chips?.addEventListener("click", (event) => {
    const remove = event.target.closest("[data-chip-remove]");
    if (!remove) return;
    remove.closest("li").remove();
    field.dispatchEvent(new Event("change", { bubbles: true }));
    field.focus();
  });
}

for (const box of $$("[data-combobox]")) wire(box);
