// Links of documents: never followed by themselves, with the host beside the document's own words.

import { el } from "./dom.js";

/** Where a link leads, as the browser reads its target: the host, or who gets the email. */
function host(url) {
  if (!URL.canParse(url)) return "";
  const { host: named, pathname } = new URL(url);
  return named || pathname;
}

const external = ({ text, url }) => [el("a", { href: url, target: "_blank", rel: "nofollow noopener noreferrer", text }), " ", el("span", { class: "link-host", text: host(url) })];

export const linkList = (links) => el("ul", { role: "list" }, ...links.map((link) => el("li", {}, ...external(link))));
