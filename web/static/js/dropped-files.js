// The files that were dropped or chosen, with their paths relative to the folder.

import { t } from "./i18n.js";

const hidden = (path) => path.split("/").some((part) => part.startsWith("."));

const asked = (work) => new Promise((resolve, reject) => work(resolve, reject));

async function* walk(entry, above = "") {
  const path = above + entry.name;
  if (entry.isFile) {
    yield { file: await asked((...back) => entry.file(...back)), path };
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // readEntries returns at most a hundred at a time.
    const entries = await asked((...back) => reader.readEntries(...back));
    if (!entries.length) return;
    for (const child of entries) yield* walk(child, `${path}/`);
  }
}

/** `unread`: paths that the browser could not open. `hidden`: number of names that begin with a dot. */
function choice(label, found, unread = []) {
  const files = found.filter(({ path }) => !hidden(path));
  return { label, files, hidden: found.length - files.length, unread };
}

function labelOf(found, folders) {
  if (folders.length === 1 && found.every(({ path }) => path.startsWith(`${folders[0]}/`))) return folders[0];
  return found.length === 1 ? found[0].file.name : t("{n} files", { n: found.length });
}

export async function dropped(items) {
  // Entries must be taken before the first await: the list is emptied after the event.
  const entries = [...items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = [];
  const unread = [];
  for (const entry of entries) {
    try {
      for await (const each of walk(entry)) found.push(each);
    } catch {
      unread.push(entry.name);
    }
  }
  return choice(labelOf(found, entries.filter((entry) => entry.isDirectory).map((entry) => entry.name)), found, unread);
}

/** `path` replaces the names, for the new version of a document. */
export function chosen(list, path) {
  const found = [...list].map((file) => ({ file, path: path || file.webkitRelativePath || file.name }));
  const folders = [...new Set(found.filter((each) => each.file.webkitRelativePath).map((each) => each.path.split("/")[0]))];
  return choice(labelOf(found, folders), found);
}
