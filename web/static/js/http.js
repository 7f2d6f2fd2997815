// Requests to the REST API with the browser session.

import { t } from "./i18n.js";

export class Problem extends Error {
  constructor({ status = 0, code = "network", detail = "", title = "", errors = [] } = {}) {
    super(detail || title || t("The server could not be reached. Check the connection and try again."));
    Object.assign(this, { status, code, errors });
  }
}

export const csrfToken = () => document.querySelector('meta[name="csrf-token"]').content;

/** After signing in anew elsewhere this page's token is an old one. */
export async function renewToken() {
  const html = await (await fetch(location.href, { credentials: "same-origin" })).text();
  const token = new DOMParser().parseFromString(html, "text/html").querySelector('meta[name="csrf-token"]');
  if (token) document.querySelector('meta[name="csrf-token"]').content = token.content;
}

export const SIGNED_OUT = t("You have been signed out. Reload the page to sign in again; what you typed stays until then.");

export async function problemOf(response) {
  const body = await response.json().catch(() => ({}));
  if (response.status === 401) body.detail = SIGNED_OUT;
  if (!body.detail && !body.title) body.detail = t("The server answered with an error ({status}). Try again in a moment.", { status: String(response.status) });
  return new Problem({ ...body, status: response.status });
}

export async function request(method, url, { json, body, signal, accept = "application/json" } = {}) {
  const headers = { Accept: accept, "X-CSRFToken": csrfToken() };
  if (json !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, { method, headers, body: json === undefined ? body : JSON.stringify(json), signal, credentials: "same-origin" });
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
