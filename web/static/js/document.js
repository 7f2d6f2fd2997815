// A document's page: its text, with the passage of the URL highlighted.

import { $, el } from "./dom.js";
import { api } from "./http.js";
import "./review.js";
import { wireDocuments } from "./documents.js";
import { wirePages } from "./pages.js";
import { renderWithPassage, showLit } from "./rendition.js";
import { t } from "./i18n.js";

async function read(holder) {
  const passage = document.getElementById("passage");
  const { quote = "", ...hint } = passage ? JSON.parse(passage.textContent) : {};
  try {
    const { elements } = await api("GET", holder.dataset.rendition);
    const { reading } = renderWithPassage(elements, quote, hint, holder.dataset.pageWord);
    holder.replaceChildren(elements.length ? reading : el("p", { class: "quiet", text: t("No text could be extracted from this file.") }));
    if (quote) showLit(reading);
  } catch (error) {
    holder.replaceChildren(el("p", { class: "note note-bad", role: "alert", text: error.message }));
  }
  holder.removeAttribute("aria-busy");
}

const pages = $("#pages");
if (pages) wirePages(pages);
const holder = $("#reading");
if (holder) read(holder);
wireDocuments({ changed: ({ erased } = {}) => (erased ? location.assign($("#document").dataset.back) : location.reload()) });
