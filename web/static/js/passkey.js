// Passkeys: forms that get a credential from the browser before they are sent.

import { $, $$ } from "./dom.js";
import { t } from "./i18n.js";

const UNABLE = t("Passkeys aren’t available here. They need a recent browser and an https address.");

async function optionsOf(form) {
  if (!form.dataset.passkeyOptions) return JSON.parse(document.getElementById("passkey-options").textContent);
  const response = await fetch(form.dataset.passkeyOptions, { headers: { Accept: "application/json" }, credentials: "same-origin" });
  if (!response.ok) throw new Error(t("Cairn isn’t responding. Try again in a moment."));
  return response.json();
}

function create({ creation_options: { publicKey } }, alone) {
  publicKey.authenticatorSelection = {
    ...publicKey.authenticatorSelection,
    residentKey: alone ? "required" : "discouraged",
    requireResidentKey: alone,
    userVerification: alone ? "required" : "preferred",
  };
  return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(publicKey) });
}

const get = ({ request_options: { publicKey } }) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(publicKey) });

async function credential(form) {
  if (!window.PublicKeyCredential?.parseCreationOptionsFromJSON) throw new Error(UNABLE);
  const sent = await optionsOf(form);
  return form.dataset.passkey === "create" ? create(sent, $("[data-passwordless]", form).checked) : get(sent);
}

function told(form, error) {
  const node = $("[data-error]", form);
  node.textContent = error.name === "NotAllowedError" ? t("No passkey was provided. Try again.") : error.message;
  node.hidden = false;
}

for (const form of $$("form[data-passkey]")) {
  $("[data-go]", form).addEventListener("click", async () => {
    try {
      form.elements.credential.value = JSON.stringify((await credential(form)).toJSON());
      form.submit();
    } catch (error) {
      told(form, error);
    }
  });
}
