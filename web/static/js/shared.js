// A conversation that somebody shared: its citations open as in the chat.

import { $, $$ } from "./dom.js";
import { rememberFrom, wireCitations } from "./citations.js";
import { wireCode } from "./code.js";
import { wireFolds } from "./folding.js";

const turns = $("#turns");
const { panel } = wireCitations(turns);
wireCode(turns);
wireFolds(turns);
for (const turn of $$(".turn", turns)) rememberFrom(turn);
document.addEventListener("keydown", (event) => { if (event.key === "Escape" && panel.isOpen) panel.close(); });
$("[data-print]").addEventListener("click", () => window.print());
$("#thread").tabIndex = -1;
