// Where a passage stands in its document: the server says "page 4", "slide 3" or "Sheet1!A5:D9".

/** Within a sentence. */
export const locationOf = ({ location, page }) => location || (page ? `page ${page}` : "");

/** By itself. A range of cells is left as it is: its sheet has a name of its own. */
export const placeOf = (cited) => locationOf(cited).replace(/^(page|slide) /, (word) => word[0].toUpperCase() + word.slice(1));

/** "Page 4 of 12", where there is such a number. */
export const placeAmong = (cited, pages) => placeOf(cited).replace(/^((?:Page|Slide) \d+)$/, pages ? `$1 of ${pages}` : "$1");

/** "Section › Subsection · Page 4" */
export const whereabouts = (cited) => [[cited.section ?? []].flat().join(" › "), placeOf(cited)].filter(Boolean).join(" · ");
