// Where a passage stands in its document: the server says "page 4", "slide 3", "rows 5-7 (A5:D7)" or "Sheet1!A5:D9".

import { el, icon } from "./dom.js";
import { language, t } from "./i18n.js";

const WORDS = { page: () => t("page {number}"), slide: () => t("slide {number}"), row: () => t("row {numbers}"), rows: () => t("rows {numbers}") };

/** Within a sentence. */
export function locationOf({ location, page }) {
  const said = location || (page ? `page ${page}` : "");
  const [, word, rest] = said.match(/^(page|slide|rows?) (.+)$/) ?? [];
  return word ? WORDS[word]().replace(/\{numbers?\}/, () => rest) : said;
}

/** By itself. A range of cells is left as it is: its sheet has a name of its own. */
export const placeOf = (cited) => (/^(page|slide) /.test(cited.location || "page ") ? capital(locationOf(cited)) : locationOf(cited));

const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** "Page 4 of 12", where there is such a number. */
export const placeAmong = (cited, pages) => (pages && /^((page|slide) \d+)?$/.test(cited.location ?? "") && placeOf(cited) ? t("{place} of {pages}", { place: placeOf(cited), pages }) : placeOf(cited));

/** "Section › Subsection · Page 4" */
export const whereabouts = (cited) => [[cited.section ?? []].flat().join(" › "), placeOf(cited)].filter(Boolean).join(" · ");

/** The knowledge base that it is from, who is responsible for that, and whether it is official. */
export function provenance({ knowledge_base_name: base, knowledge_base_owner: owner, official }) {
  const said = owner ? t("{base}, by {owner}", { base, owner: owner.username }) : base;
  return el("span", { class: "source-base" }, said, official ? null : el("span", { class: "tag tag-unofficial", text: t("Unofficial") }));
}

/** Who vouches for it until when, where somebody does. */
export function vouched({ verified }) {
  if (!verified) return null;
  const until = new Date(verified.until).toLocaleDateString(language, { dateStyle: "medium", timeZone: "UTC" });
  const said = verified.by ? t("Verified by {by} for the question in its title, valid until {until}", { by: verified.by, until }) : t("Verified for the question in its title, valid until {until}", { until });
  return el("span", { class: "source-verified" }, icon("check"), said);
}
