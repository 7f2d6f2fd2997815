// Following what changes on the server: one stream each.

const AGAIN_MS = 4000;
const PATIENCE = 5;

/** Tells of each event until `isOver` says that no more will come. Returns how to stop. */
export function follow(url, type, onNews, isOver = () => false) {
  let source = null;
  let timer = 0;
  let refusals = 0;
  const stop = () => { clearTimeout(timer); source.close(); };
  const open = () => {
    source = new EventSource(url);
    source.addEventListener(type, (event) => {
      refusals = 0;
      const news = JSON.parse(event.data);
      if (isOver(news)) stop();
      onNews(news);
    });
    source.onerror = (event) => {
      // Without data the connection broke: the browser opens it again, unless the server refused it.
      if (event.data !== undefined) stop();
      else if (source.readyState === EventSource.CLOSED && (refusals += 1) < PATIENCE) timer = setTimeout(open, AGAIN_MS);
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
