// Requests to the REST API with the browser session.

import { t } from "./i18n.js";

export class Problem extends Error {
  constructor({ status = 0, code = "network", detail = "", title = "", errors = [] } = {}) {
    super(detail || title || t("Can’t reach the server. Check your connection and try again."));
    Object.assign(this, { status, code, errors });
  }
}

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

/** After a new sign-in in another tab, this page's CSRF token is outdated. */
export async function renewToken() {
  const html = await (await fetch(location.href, { credentials: "same-origin" })).text();
  const token = new DOMParser().parseFromString(html, "text/html").querySelector('meta[name="csrf-token"]');
  if (token) document.querySelector('meta[name="csrf-token"]').content = token.content;
}

export const SIGNED_OUT = t("You’ve been signed out. Your text is still here; reload the page to sign in again.");
export const STALE = t("Your session has changed. Reload the page and try again.");

/** Whether the token was the reason, in a REST response or a page: then nothing has been changed yet. */
export const isStale = async (response) => response.status === 403 && (await response.clone().text().catch(() => "")).includes("csrf_failed");

/** Return the response of `send`; repeat with a new token if the old one was refused. */
export async function withToken(send) {
  const response = await send();
  if (!(await isStale(response))) return response;
  await renewToken().catch(() => {});
  return send();
}

export async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) body.detail = SIGNED_OUT;
  if (body.code === "csrf_failed") body.detail = STALE;
  if (!body.detail && !body.title) body.detail = t("The server answered with an error ({status}). Try again in a moment.", { status: String(response.status) });
  return new Problem({ ...body, status: response.status });
}

export async function request(method, url, { json, body, signal, accept = "application/json" } = {}) {
  const headers = { Accept: accept };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const options = { method, body: json === undefined ? body : JSON.stringify(json), signal, credentials: "same-origin" };
  let response;
  try {
    response = await withToken(() => fetch(url, { ...options, headers: { "X-CSRFToken": csrfToken(), ...headers } }));
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem();
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function api(method, url, json, options = {}) {
  const response = await request(method, url, { json, ...options });
  return response.status === 204 ? null : response.json().catch(() => null);
}

export async function text(url) {
  return (await request("GET", url, { accept: "*/*" })).text();
}

export async function page(url) {
  return (await request("GET", url, { accept: "text/html" })).text();
}
