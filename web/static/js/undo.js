// Undo of a deleted conversation: offered for a while, and on the page that follows.

import { $, toast } from "./dom.js";
import { api } from "./http.js";
import { t } from "./i18n.js";

const KEY = "cairn-deleted";
const OFFERED_MS = 20_000;

const keep = (offer) => { try { sessionStorage.setItem(KEY, JSON.stringify(offer)); } catch { /* then not on the page that follows */ } };
const forget = () => { try { sessionStorage.removeItem(KEY); } catch { /* nothing is kept */ } };

async function restore({ id, wasOpen }) {
  forget();
  try {
    await api("POST", `/api/v1/conversations/${id}/restore`);
  } catch (error) {
    toast(error.status === 404 ? t("This conversation can no longer be restored.") : error.message);
    return;
  }
  if (wasOpen) {
    location.assign(`/conversations/${id}`);
    return;
  }
  toast(t("Conversation restored."));
  document.body.dispatchEvent(new CustomEvent("conversations-changed"));
  $("#find-conversation").focus({ preventScroll: true });
}

function show(offer) {
  return toast(t("Conversation deleted."), { action: () => restore(offer), label: t("Undo"), ms: offer.until - Date.now() });
}

/** `wasOpen`: another page takes its place, and offers it. */
export function offerUndo(id, wasOpen) {
  const offer = { id, wasOpen, until: Date.now() + OFFERED_MS };
  keep(offer);
  if (!wasOpen) $("button", show(offer)).focus({ preventScroll: true });
}

export function offerUndoAgain() {
  let offer = null;
  try { offer = JSON.parse(sessionStorage.getItem(KEY)); } catch { /* nothing is kept */ }
  if (offer?.until > Date.now()) show(offer);
  else forget();
}
