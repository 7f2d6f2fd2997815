// Create and revoke the one-time link of a user, and show it once.

import { $, copy, toast } from "./dom.js";
import { api } from "./http.js";
import { t } from "./i18n.js";

const section = $("[data-password-link]");
const path = section.dataset.passwordLink;

$("[data-create-link]", section).addEventListener("click", async () => {
  try {
    const { url } = await api("POST", path, { days: Number($("select", section).value) });
    $("code", section).textContent = url;
    $("[data-new-link]", section).hidden = false;
    $("[data-copy-link]", section).focus();
  } catch (error) {
    toast(error.message);
  }
});
$("[data-send-link]", section)?.addEventListener("click", async ({ currentTarget: button }) => {
  try {
    const { email } = await api("POST", button.dataset.sendLink, { days: Number($("select", section).value) });
    toast(t("The link is on its way to {email}.", { email }));
  } catch (error) {
    toast(error.message);
  }
});
$("[data-copy-link]", section).addEventListener("click", () => copy($("code", section).textContent, t("Link copied.")));
$("[data-revoke-link]", section)?.addEventListener("click", async () => {
  try {
    await api("DELETE", path);
    location.reload();
  } catch (error) {
    toast(error.message);
  }
});
