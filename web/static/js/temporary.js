// Temporary chats: switched on before the first question, erased when the page is left.

import { $ } from "./dom.js";
import { csrfToken } from "./http.js";
import { draft, isTemporary } from "./drafts.js";

const main = $("#main");

function switched(isOn) {
  if (isOn) draft.keep(""); // what was typed so far is no longer kept in the browser
  main.toggleAttribute("data-temporary", isOn);
  $("#temporary-note").hidden = !isOn;
}

/** Erase the conversation. `keepalive`: the request outlives the page. */
function erase() {
  const id = main.dataset.conversation;
  if (!isTemporary() || !id) return;
  main.dataset.conversation = "";
  fetch(`/api/v1/conversations/${id}`, { method: "DELETE", keepalive: true, credentials: "same-origin", headers: { "X-CSRFToken": csrfToken() } }).catch(() => {});
}

export function wireTemporary() {
  $("#temporary")?.addEventListener("change", (event) => switched(event.target.checked));
  // Documents open beside the conversation: following a link would erase it.
  $("#chat").addEventListener("click", (event) => {
    const link = event.target.closest("a[href]:not([download])");
    if (link && isTemporary() && main.dataset.conversation) Object.assign(link, { target: "_blank", rel: "noopener" });
  }, true);
  window.addEventListener("pagehide", erase);
  document.addEventListener("submit", (event) => { if (event.target.matches("[data-sign-out]")) erase(); });
  window.addEventListener("pageshow", (event) => { if (event.persisted && isTemporary()) location.replace("/"); });
}
