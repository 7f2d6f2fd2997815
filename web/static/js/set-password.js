// The token of a one-time link is in the fragment of the address, which browsers never send; the form sends it.

const token = location.hash.slice(1);
if (token) {
  document.querySelector("[data-token]").value = token;
  history.replaceState(null, "", location.pathname);
}
