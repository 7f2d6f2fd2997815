// Links in documents: never followed automatically, with the host shown next to the document's own text.

import { el } from "./dom.js";

/** The target of a link as the browser parses it: the host, or the recipient of the email. */
function host(url) {
  if (!URL.canParse(url)) return "";
  const { host: named, pathname } = new URL(url);
  return named || pathname;
}

const anchor = (url, ...content) => el("a", { href: url, target: "_blank", rel: "nofollow noopener noreferrer" }, ...content);
const hostBeside = (url) => [" ", el("span", { class: "link-host", text: `(${host(url)})` })];

const external = ({ text, url }) => [anchor(url, text), " ", el("span", { class: "link-host", text: host(url) })];

/** A link within text. The host is next to it unless the text is an address that begins with it. */
export function inlineLink({ text, url }, ...content) {
  const shows = [`http://${host(url)}`, `https://${host(url)}`].some((start) => text === start || text.startsWith(`${start}/`));
  return [anchor(url, ...content), ...(shows ? [] : hostBeside(url))];
}

export const linkList = (links) => el("ul", { role: "list" }, ...links.map((link) => el("li", {}, ...external(link))));
