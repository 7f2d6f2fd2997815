// Asking a question and following its answer, through broken connections, until it is complete.

import { $, $$ } from "./dom.js";
import { Problem, api, request } from "./http.js";
import { draft, isTemporary } from "./drafts.js";
import { events } from "./sse.js";
import { t } from "./i18n.js";
import { choice } from "./picker.js";
import { Turn } from "./turn.js";

const main = $("#main");
const turns = $("#turns");
const STREAM = "text/event-stream";
const STOP_WITHIN_MS = 2500;
const AGAIN_MS = [500, 1000, 2000, 4000];
const PATIENCE_MS = 120_000;
const PASSING = new Set([0, 429, 502, 503, 504]);
const WHILE_WRITING = "[data-again], [data-version], [data-edit-question], [data-earlier], .question-form button";
let running = null;

export const isRunning = () => running !== null;
export const lastTurn = () => $$(".turn", turns).findLast((turn) => turn.dataset.message) ?? null;

function busy(turn) {
  running = turn;
  const [send, stop] = [$("#send"), $("#stop")];
  const hadFocus = [send, stop].includes(document.activeElement); // a hidden button loses the focus
  send.hidden = turn !== null;
  stop.hidden = turn === null;
  if (hadFocus) (turn ? stop : send).focus({ preventScroll: true });
  // Versions and branches wait while an answer is written.
  for (const button of $$(WHILE_WRITING, turns)) button.disabled = turn !== null;
}

/** Its id is known before the first question, so that leaving the page erases it at any moment. */
async function openTemporary() {
  const { id } = await api("POST", "/api/v1/conversations", { temporary: true });
  main.dataset.conversation = id;
  $("#temporary-note").open = false; // it was read, and a phone needs the room
}

function enterConversation(id, title) {
  main.dataset.conversation = id;
  delete main.dataset.unasked;
  history.replaceState(null, "", `/conversations/${id}`);
  const short = title.length > 80 ? `${title.slice(0, 79)}…` : title;
  $("#conversation-title").textContent = short;
  document.title = `${short} · Cairn`;
  $("#chat-head").hidden = false;
  $("#conversations").setAttribute("hx-vals", JSON.stringify({ current: id }));
}

/** `parent`: id of the previous message, "" for none. Default: the last one on the page. `only`: ids of the knowledge
 * bases that the question mentions. */
export async function ask(question, parent = lastTurn()?.dataset.message ?? "", only = []) {
  if (running || !question.trim()) return;
  const turn = new Turn(question.trim(), parent);
  turn.node.dataset.mentioned = only.join(" ");
  const wasInside = turns.contains(document.activeElement);
  $("#welcome")?.remove();
  for (const earlier of $$("[data-next-questions]", turns)) earlier.remove();
  for (const earlier of $$(".turn-fresh")) earlier.classList.remove("turn-fresh");
  turns.append(turn.node);
  turn.node.scrollIntoView({ block: "start", behavior: "smooth" });
  if (wasInside || document.activeElement === document.body) $(".question", turn.node).focus({ preventScroll: true });
  turn.onstart = (conversation) => {
    draft.keep($("#question").value); // until now, the question was the draft, in case the page was closed
    if (!main.dataset.conversation || ("unasked" in main.dataset && !isTemporary())) enterConversation(conversation, turn.question);
    else if (!parent) document.body.dispatchEvent(new CustomEvent("conversations-changed")); // the title may have changed
  };
  await carried(turn, () => begun(turn, parent, only));
}

/** Follow an answer that the server rendered as still running. */
export function resume() {
  const node = $("[data-running]", turns)?.closest(".turn");
  if (node && !running) carried(Turn.over(node), () => {});
}

/** If the first stream breaks, or there is none, follow the stored answer. */
async function carried(turn, begin) {
  busy(turn);
  try {
    await begin();
    if (!turn.finished) await followed(turn);
  } catch (error) {
    if (error.name === "AbortError") await turn.stopped();
    else await turn.failed(error);
    if (!turn.id) draft.keep(turn.question);
  } finally {
    busy(null);
    if (turn.id) document.body.dispatchEvent(new CustomEvent("conversations-changed"));
  }
}

async function begun(turn, parent, only) {
  if (isTemporary() && !main.dataset.conversation) await openTemporary();
  const json = { question: turn.question, stream: true, detached: true, ...choice(only) };
  if (main.dataset.conversation) Object.assign(json, { conversation: main.dataset.conversation, parent: parent || null });
  if (main.dataset.assistant) json.assistant = main.dataset.assistant;
  try {
    await read(turn, await request("POST", "/api/v1/ask", { json, signal: turn.abort.signal, accept: STREAM }));
  } catch (error) {
    if (!turn.id || !isPassing(error)) throw error;
  }
}

async function read(turn, response) {
  for await (const event of events(response)) await turn.on(event);
}

async function followed(turn) {
  const { signal } = turn.abort;
  let broken = 0;
  for (let tries = 0; !turn.finished; tries += 1) {
    try {
      const response = await request("GET", `/api/v1/messages/${turn.id}/events`, { signal, accept: STREAM });
      broken = tries = 0;
      await read(turn, response);
    } catch (error) {
      if (!isPassing(error)) throw error;
    }
    if (turn.finished) return;
    broken ||= Date.now();
    if (Date.now() - broken > PATIENCE_MS) throw new Problem();
    turn.state(t("Reconnecting…"));
    await pause(AGAIN_MS[Math.min(tries, AGAIN_MS.length - 1)], signal);
  }
}

/** Whether only the connection failed: then the answer is still being written. */
const isPassing = (error) => !error.told && (error instanceof Problem ? PASSING.has(error.status) : error instanceof TypeError);

const pause = (ms, signal) => new Promise((resolve) => {
  setTimeout(resolve, ms);
  signal.addEventListener("abort", resolve, { once: true });
});

/** Ask the server to stop, which ends the answer properly; abort the connection if it doesn't. */
export function halt() {
  if (!running || running.stopping) return;
  const turn = running;
  turn.stopping = true;
  turn.state(t("Stopping…"));
  setTimeout(() => { if (!turn.finished) turn.abort.abort(); }, STOP_WITHIN_MS);
  const stop = () => api("POST", `/api/v1/messages/${turn.id}/stop`).catch(() => turn.abort.abort());
  const begun = turn.onstart;
  if (turn.id) stop();
  else turn.onstart = (conversation) => { begun?.(conversation); stop(); };
  $("#question").focus();
}
