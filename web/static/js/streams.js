// Following what changes on the server: one stream each.

import { t } from "./i18n.js";

const AGAIN_MS = [1000, 2000, 4000, 8000, 15000];
const STEADY_MS = 60_000;
const PATIENCE_MS = 300_000; // a server may take minutes to start anew
const FINAL = new Set([401, 403, 404]);
const LOST = t("Progress is no longer shown here. Reload to see how it stands.");

/** Tells of each event until `isOver` says that no more will come, or `onLost` why there is none. Returns how to stop. */
export function follow(url, type, onNews, isOver = () => false, onLost = () => {}) {
  let source = null;
  let timer = 0;
  let tries = 0;
  let broken = 0; // since when nothing came
  let opened = 0;
  const stop = () => { clearTimeout(timer); source.close(); };
  const failed = (status) => {
    stop();
    if (opened && Date.now() - opened > STEADY_MS) tries = 0;
    opened = 0;
    broken ||= Date.now();
    if (FINAL.has(status) || Date.now() - broken > PATIENCE_MS) onLost(LOST);
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
      // Without data the connection broke: the browser opens it again, unless the server refused it.
      if (event.data !== undefined) failed(JSON.parse(event.data).status);
      else if (source.readyState === EventSource.CLOSED) failed();
    };
  };
  open();
  return stop;
}

/** Calls at once, then at most once in so many milliseconds, with the last call never lost. */
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
