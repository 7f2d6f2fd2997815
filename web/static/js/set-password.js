// The token of a one-time link is in the fragment of the address, which browsers never send; the form sends it.
// A link that no longer works gets no form.

const form = document.querySelector("[data-check]");
const token = location.hash.slice(1);

async function check() {
  const body = new FormData(form);
  const response = await fetch(form.dataset.check, { method: "POST", body }).catch(() => null);
  if (response?.status !== 404) return;
  form.hidden = true;
  document.getElementById("link-ended").hidden = false;
}

if (token) {
  document.querySelector("[data-token]").value = token;
  history.replaceState(null, "", location.pathname);
  check();
}
