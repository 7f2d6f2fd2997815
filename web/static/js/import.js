// The page of one import.

import { $, clone } from "./dom.js";
import { ImportView } from "./imports.js";

const node = clone("import-template");
$("#imports").append(node);
const view = new ImportView(node, JSON.parse(document.getElementById("import").textContent), { open: true });
window.addEventListener("beforeunload", (event) => { if (view.busy) event.preventDefault(); });
