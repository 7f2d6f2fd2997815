// The location of a passage in its document. The server sends "page 4", "slide 3", "rows 5-7 (A5:D7)" or "Sheet1!A5:D9".

import { el, icon } from "./dom.js";
import { language, t } from "./i18n.js";

const WORDS = { page: () => t("page {number}"), slide: () => t("slide {number}"), row: () => t("row {numbers}"), rows: () => t("rows {numbers}") };

/** For use within a sentence. */
export function locationOf({ location, page }) {
  const said = location || (page ? `page ${page}` : "");
  const [, word, rest] = said.match(/^(page|slide|rows?) (.+)$/) ?? [];
  return word ? WORDS[word]().replace(/\{numbers?\}/, () => rest) : said;
}

/** For use by itself. A cell range stays as it is: the name of its sheet must not change. */
export const placeOf = (cited) => (/^(page|slide) /.test(cited.location || "page ") ? capital(locationOf(cited)) : locationOf(cited));

const capital = (text) => text.charAt(0).toLocaleUpperCase() + text.slice(1);

/** "Page 4 of 12" if the number of pages is known. */
export const placeAmong = (cited, pages) => (pages && /^((page|slide) \d+)?$/.test(cited.location ?? "") && placeOf(cited) ? t("{place} of {pages}", { place: placeOf(cited), pages }) : placeOf(cited));

/** "Section › Subsection · Page 4" */
export const whereabouts = (cited) => [[cited.section ?? []].flat().join(" › "), placeOf(cited)].filter(Boolean).join(" · ");

/** The knowledge base, its owner, and whether it is official. */
export function provenance({ knowledge_base_name: base, knowledge_base_owner: owner, official }) {
  const said = owner ? t("{base}, by {owner}", { base, owner: owner.username }) : base;
  return el("span", { class: "source-base" }, said, official ? null : el("span", { class: "tag tag-unofficial", text: t("Unofficial") }));
}

/** For a verified answer: who verified it, and until when. */
export function vouched({ verified }) {
  if (!verified) return null;
  const until = new Date(verified.until).toLocaleDateString(language, { dateStyle: "medium", timeZone: "UTC" });
  const said = verified.by ? t("Verified by {by} for the question in its title, valid until {until}", { by: verified.by, until }) : t("Verified for the question in its title, valid until {until}", { until });
  return el("span", { class: "source-verified" }, icon("check"), said);
}
