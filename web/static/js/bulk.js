// Changes to many users: those ticked on the page, or all that match the filters, a few hundred per request.

import { $, $$, confirmed, toast } from "./dom.js";
import { api } from "./http.js";
import { t, tn } from "./i18n.js";

const PER_REQUEST = 200;
const NAMED = 5;

const WORDS = {
  deactivate: (n) => ({ title: tn("Disable {n} user?", "Disable {n} users?", n), text: t("They are signed out at once and can’t sign in. Their data is kept."), yes: t("Disable") }),
  activate: (n) => ({ title: tn("Enable {n} user?", "Enable {n} users?", n), text: t("They can sign in again."), yes: t("Enable") }),
  add_to_group: (n, group) => ({ title: tn("Add {n} user to “{group}”?", "Add {n} users to “{group}”?", n, { group }), text: t("They get the access of this group."), yes: t("Add") }),
  remove_from_group: (n, group) => ({ title: tn("Remove {n} user from “{group}”?", "Remove {n} users from “{group}”?", n, { group }), text: t("They lose any access they have through this group."), yes: t("Remove") }),
};

function wire(bar) {
  const { bulk: path, filters, total, group } = bar.dataset;
  const onPage = $("[data-bulk-page]", bar);
  const all = $("[data-bulk-all]", bar);
  const picks = $$("[data-pick]");
  let isStopped = false;

  const picked = () => picks.filter((box) => box.checked).map((box) => box.value);
  const isAll = () => all?.getAttribute("aria-pressed") === "true";
  const count = () => (isAll() ? Number(total) : picked().length);

  function changed() {
    const n = count();
    onPage.checked = picks.every((box) => box.checked);
    onPage.indeterminate = n > 0 && !onPage.checked;
    $("[data-bulk-count]", bar).textContent = n ? tn("{n} selected", "{n} selected", n) : "";
    $("[data-bulk-acts]", bar).hidden = n === 0;
  }

  function chooseAll(is) {
    all?.setAttribute("aria-pressed", String(is));
    if (is) for (const box of picks) box.checked = true;
  }

  /** Yields ids in portions; each page of the list is asked for before the one before it is changed. */
  async function* portions() {
    if (!isAll()) {
      const ids = picked();
      for (let at = 0; at < ids.length; at += PER_REQUEST) yield ids.slice(at, at + PER_REQUEST);
      return;
    }
    let cursor = "";
    do {
      const { items, next_cursor: next } = await api("GET", `${path}?limit=${PER_REQUEST}&${filters}${cursor && `&cursor=${encodeURIComponent(cursor)}`}`);
      if (items.length) yield items.map((user) => user.id);
      cursor = next;
    } while (cursor);
  }

  async function run(action, id) {
    const n = count();
    const done = { changed: 0, seen: 0, skipped: [] };
    isStopped = false;
    progress(0, n);
    $("[data-bulk-acts]", bar).hidden = true;
    $("[data-bulk-progress]", bar).hidden = false;
    try {
      for await (const users of portions()) {
        if (isStopped) break;
        const result = await api("POST", `${path}/batch`, { action, users, ...(id ? { group: id } : {}) });
        done.changed += result.changed;
        done.seen += users.length;
        done.skipped.push(...result.skipped);
        progress(done.seen, n);
      }
    } catch (error) {
      done.problem = error.message;
    }
    $("[data-bulk-progress]", bar).hidden = true;
    report(done);
  }

  function progress(seen, n) {
    $("progress", bar).value = n ? Math.min(seen / n, 1) : 0;
    $("[data-bulk-status]", bar).textContent = t("{seen} of {n}", { seen, n });
  }

  function report({ changed: n, skipped, problem }) {
    const why = [...new Set(skipped.map(({ detail }) => detail))].slice(0, NAMED);
    const lines = [tn("Changed {n} user.", "Changed {n} users.", n), ...(isStopped ? [t("Stopped. The others are unchanged.")] : []), ...(skipped.length ? [tn("Skipped {n} user:", "Skipped {n} users:", skipped.length), ...why] : []), ...(problem ? [problem] : [])];
    if (lines.length === 1) { location.reload(); return; }
    const note = $("[data-bulk-result]", bar);
    note.textContent = lines.join(" ");
    note.hidden = false;
    changed();
  }

  async function act(button) {
    const action = button.dataset.bulkAct;
    const needsGroup = action.endsWith("_group");
    const id = group ?? (needsGroup ? $('[name="bulk_group"]', bar).value : "");
    const name = group ? $("h1").textContent : $("#bulk-group")?.value;
    if (needsGroup && !id) { toast(t("Choose a group first.")); $("#bulk-group").focus(); return; }
    if (await confirmed(WORDS[action](count(), name))) run(action, needsGroup ? id : "");
  }

  for (const box of picks) box.addEventListener("change", () => { chooseAll(false); changed(); });
  onPage.addEventListener("change", () => { chooseAll(false); for (const box of picks) box.checked = onPage.checked; changed(); });
  all?.addEventListener("click", () => { chooseAll(!isAll()); changed(); });
  for (const button of $$("[data-bulk-act]", bar)) button.addEventListener("click", () => act(button));
  $("[data-bulk-stop]", bar).addEventListener("click", () => { isStopped = true; });
  changed();
}

function wireAdding(box) {
  box.addEventListener("choose", async ({ detail }) => {
    try {
      await api("POST", "/api/v1/users/batch", { action: "add_to_group", users: [detail.value.split(":").at(-1)], group: box.dataset.bulkAdd });
      location.reload();
    } catch (error) {
      toast(error.message);
    }
  });
}

for (const bar of $$("[data-bulk]")) wire(bar);
for (const box of $$("[data-bulk-add]")) wireAdding(box);
