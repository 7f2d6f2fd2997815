// Copy a new API key.

import { $$, copy } from "./dom.js";

for (const button of $$("[data-copy-from]")) button.addEventListener("click", () => copy(document.getElementById(button.dataset.copyFrom).textContent));
