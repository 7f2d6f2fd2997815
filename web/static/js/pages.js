// The pages of a PDF on its document page: small images that load when they are near, and one page large.

import { $, el } from "./dom.js";
import { t, tn } from "./i18n.js";

const AT_ONCE = 60;
const dialog = $("#page-viewer");
let shelf;
let shown = 1;

const count = () => Number(shelf.dataset.pages);
const address = (page, size = "") => `${shelf.dataset.address}/${page}.png?version=${shelf.dataset.version}${size}`;
const nameOf = (page) => t("Page {number} of {title}", { number: page, title: shelf.dataset.title });

/** Says so where an image cannot be loaded, and does not leave a hole. */
function failed({ target }) {
  target.replaceWith(el("span", { class: "faint page-missing", text: t("Couldn’t load the image of this page.") }));
}

function thumbnail(page) {
  const image = el("img", { src: address(page, "&size=thumbnail"), alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("error", failed);
  const open = () => { show(page); dialog.showModal(); };
  return el("li", {}, el("button", { type: "button", class: "page-thumb", "aria-haspopup": "dialog", "aria-label": t("Open page {number}", { number: page }), onclick: open }, image, el("span", { class: "num", "aria-hidden": "true", text: String(page) })));
}

/** A document of thousands of pages shows some at once, and more when they are asked for. */
function more() {
  const list = $("ol", shelf);
  const from = list.children.length;
  const to = Math.min(from + AT_ONCE, count());
  for (let page = from + 1; page <= to; page += 1) list.append(thumbnail(page));
  const rest = count() - to;
  const button = $("[data-more-pages]", shelf);
  button.hidden = rest === 0;
  button.textContent = tn("Show more ({n} page)", "Show more ({n} pages)", rest);
  if (from) $("button", list.children[from]).focus({ preventScroll: true });
}

function show(page) {
  shown = page;
  $("[data-place]", dialog).textContent = t("Page {number} of {pages}", { number: page, pages: count() });
  const image = el("img", { src: address(page), alt: nameOf(page) });
  image.addEventListener("error", failed);
  $("[data-sheet]", dialog).replaceChildren(image);
  $("[data-sheet]", dialog).scrollTop = 0;
  for (const [selector, at] of [["[data-prev]", 1], ["[data-next]", count()]]) $(selector, dialog).setAttribute("aria-disabled", String(page === at));
}

const step = (by) => { if (shown + by >= 1 && shown + by <= count()) show(shown + by); };

export function wirePages(root) {
  shelf = root;
  more();
  $("[data-more-pages]", shelf).addEventListener("click", more);
  $("[data-prev]", dialog).addEventListener("click", () => step(-1));
  $("[data-next]", dialog).addEventListener("click", () => step(1));
  $("[data-close]", dialog).addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  dialog.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!by || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    step(by);
  });
}
