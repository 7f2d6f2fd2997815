// Event streams from the server. A browser opens at most six connections to a host, for all tabs together, so a page opens few
// streams, and none while it is hidden.

import { api } from "./http.js";
import { t } from "./i18n.js";

const AGAIN_MS = [1000, 2000, 4000, 8000, 15000];
const STEADY_MS = 60_000;
const PATIENCE_MS = 300_000; // a server may take minutes to restart
const LOOK_MS = 4000;
const FINAL = new Set([401, 403, 404]);
const LOST = t("Live progress stopped. Reload the page to see the current state.");

const turns = []; // the first one uses the stream

/** Call `onNews` for each event until `isOver` returns true; call `onLost` with the reason if the stream fails. Returns a function that stops. */
export function follow(url, type, onNews, isOver = () => false, onLost = () => {}) {
  let source = null;
  let timer = 0;
  let tries = 0;
  let broken = 0; // time of the first failure since the last event
  let opened = 0;
  const close = () => { clearTimeout(timer); source?.close(); };
  const stop = () => { document.removeEventListener("visibilitychange", turned); close(); };
  const turned = () => {
    close();
    broken = tries = 0;
    if (!document.hidden) open();
  };
  const failed = (status) => {
    close();
    if (opened && Date.now() - opened > STEADY_MS) tries = 0;
    opened = 0;
    broken ||= Date.now();
    if (FINAL.has(status) || Date.now() - broken > PATIENCE_MS) { stop(); onLost(LOST); }
    else timer = setTimeout(open, AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)]);
    tries += 1;
  };
  const open = () => {
    source = new EventSource(url);
    source.onopen = () => { opened = Date.now(); };
    source.addEventListener(type, (event) => {
      broken = 0;
      const news = JSON.parse(event.data);
      if (isOver(news)) stop();
      onNews(news);
    });
    source.onerror = (event) => {
      // An error without data means a lost connection: the browser reconnects, unless the server refused the request.
      if (event.data !== undefined) failed(JSON.parse(event.data).status);
      else if (source.readyState === EventSource.CLOSED) failed();
    };
  };
  document.addEventListener("visibilitychange", turned);
  if (!document.hidden) open();
  return stop;
}

function poll(url, onNews, onLost) {
  let timer = 0;
  let broken = 0;
  let stopped = false;
  const failed = ({ status }) => {
    broken ||= Date.now();
    if (!stopped && (FINAL.has(status) || Date.now() - broken > PATIENCE_MS)) onLost(LOST);
  };
  const told = (news) => {
    broken = 0;
    if (!stopped) onNews(news);
  };
  const look = async () => {
    if (document.hidden) broken = 0;
    else await api("GET", url).then(told, failed);
    if (!stopped) timer = setTimeout(look, LOOK_MS);
  };
  timer = setTimeout(look, LOOK_MS);
  return () => { stopped = true; clearTimeout(timer); };
}

/** Like `follow`, but with one stream for all objects: the others are polled. */
export function followInTurn(url, type, onNews, isOver, onLost) {
  let stop = () => {};
  const told = (news) => { if (isOver(news)) leave(); onNews(news); };
  const lost = (why) => { leave(); onLost(why); };
  const take = () => { stop(); stop = follow(`${url}/events`, type, told, () => false, lost); };
  const leave = () => {
    stop();
    const at = turns.indexOf(take);
    if (at >= 0) turns.splice(at, 1);
    if (at === 0) turns[0]?.();
  };
  if (turns.push(take) === 1) take();
  else stop = poll(url, told, lost);
  return leave;
}

/** Throttle: call at once, then at most once per interval. The last call is never lost. */
export function throttled(ms, action) {
  let timer = 0;
  let wanted = false;
  const run = () => {
    wanted = false;
    timer = setTimeout(() => { timer = 0; if (wanted) run(); }, ms);
    action();
  };
  return () => { if (timer) wanted = true; else run(); };
}
