// Links in documents: never followed automatically, with the host shown next to the document's own text.

import { el } from "./dom.js";

/** The target of a link as the browser parses it: the host, or the recipient of the email. */
function host(url) {
  if (!URL.canParse(url)) return "";
  const { host: named, pathname } = new URL(url);
  return named || pathname;
}

const external = ({ text, url }) => [el("a", { href: url, target: "_blank", rel: "nofollow noopener noreferrer", text }), " ", el("span", { class: "link-host", text: host(url) })];

export const linkList = (links) => el("ul", { role: "list" }, ...links.map((link) => el("li", {}, ...external(link))));
