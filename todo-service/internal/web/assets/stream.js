// The event stream: one connection to GET /events that comes back by itself.
//
//            header arrives                  ends, fails, is silent
//   connecting ───────────▶ live ───────────────────────────▶ reconnecting
//        ▲                                                        │ pause
//        └────────────────────────────────────────────────────────┘
//
// When its session has ended, the state is "signedout" until the next start.
//
// A connection resumes after the last id, so that no event is missed. After 410 it starts
// anew, and the reader of the events must load the list again (reset).

import { EventParser } from './sse.js';
import { pauseBefore, readRetryAfter } from './api.js';

/** The server sends something every 5 s; three times that without a byte is a dead connection. */
const SILENCE = 15_000;

/** The longest pause between two attempts, in ms, unless the server asks for a longer one. */
const LONGEST_PAUSE = 5000;

/** A stream that lasts this long, in ms, ends a series of failures; one that ends at once is one of them. */
const STABLE = 2000;

export class EventStream {
  #path;
  #handlers;
  #lastID = null;
  #failures = 0;
  #abort = null;
  #timer = 0;
  #running = false;
  /** Whether events were missed since the last live state. */
  #lost = false;

  /**
   * The state: "connecting", "live", "signedout", or "reconnecting" since a time in ms, with the status
   * that the server answered last (0: no response) and the time of the next attempt.
   * @type {{name: string, since: number, status: number, until: number}}
   */
  state = { name: 'connecting', since: Date.now(), status: 0, until: 0 };

  /**
   * @param {string} path
   * @param {{state: (state: object) => void, events: (events: object[]) => void, reset: () => void}} handlers
   *   events gets the events of a piece of the stream, in order; reset says that events
   *   were missed, and is called while the new stream is live
   */
  constructor(path, handlers) {
    this.#path = path;
    this.#handlers = handlers;
  }

  /** Connects, unless it is connected. */
  start() {
    if (this.#running) return;
    this.#running = true;
    if (this.state.name === 'signedout') this.#setState('connecting', 0, 0);
    this.#connect();
  }

  /** Disconnects. A later start resumes. */
  stop() {
    this.#running = false;
    clearTimeout(this.#timer);
    this.#abort?.abort();
    this.#abort = null;
    this.#noteLoss();
    this.#setState('connecting', 0, 0); // which a later start is
  }

  /** Connects now if it waits for its next attempt, except when the server asked for the wait. */
  wake() {
    if (!this.#running || this.#abort || this.state.status === 429) return;
    clearTimeout(this.#timer);
    this.#connect();
  }

  async #connect() {
    const abort = new AbortController();
    this.#abort = abort;
    let silence = setTimeout(() => abort.abort(), SILENCE);
    const parser = new EventParser();
    let status = 0;
    let wait;
    try {
      const response = await fetch(this.#path, {
        headers: { Accept: 'text/event-stream', ...(this.#lastID !== null && { 'Last-Event-ID': this.#lastID }) },
        cache: 'no-store',
        credentials: 'same-origin',
        signal: abort.signal,
      });
      status = response.status;
      wait = readRetryAfter(response.headers);
      if (status === 200) {
        this.#becomeLive();
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
          clearTimeout(silence);
          silence = setTimeout(() => abort.abort(), SILENCE);
          const events = parser.push(piece.value);
          if (parser.lastID !== null) this.#lastID = parser.lastID;
          if (events.length > 0) this.#handlers.events(events);
          if (events.at(-1)?.type === 'unauthenticated') status = 401;
        }
        wait = parser.retry ?? undefined;
        if (status === 200) status = 0;
      }
    } catch {
      status = 0; // the network failed, or the connection was silent
      wait = parser.retry ?? undefined;
    }
    clearTimeout(silence);
    abort.abort(); // the body of a response that is no stream
    if (this.#abort !== abort) return; // stopped, perhaps started again
    this.#abort = null;
    if (status === 401) {
      this.#running = false;
      this.#setState('signedout', status, 0);
      return;
    }
    this.#scheduleConnect(status, wait);
  }

  #becomeLive() {
    const reset = this.#lost;
    this.#lost = false;
    this.#setState('live', 200, 0);
    if (reset) this.#handlers.reset();
  }

  #scheduleConnect(status, wait) {
    if (this.state.name === 'live' && Date.now() - this.state.since > STABLE) this.#failures = 0;
    // The position is gone, or is no position of this server.
    const gone = this.#lastID !== null && (status === 410 || status === 400);
    if (gone) {
      this.#lastID = null;
      this.#lost = true;
    } else {
      this.#noteLoss();
    }
    // The first attempt after a break comes soon. A server that refuses is given more time.
    const backoff = this.#failures === 0 ? Math.random() * 500 : pauseBefore(this.#failures - 1, LONGEST_PAUSE);
    const until = Date.now() + (gone ? 250 : Math.max(wait ?? 0, backoff));
    this.#failures++;
    this.#setState('reconnecting', status, until);
    this.#timer = setTimeout(() => this.#connect(), until - Date.now());
  }

  /** Notes a stream that ends before it had an id to resume from. */
  #noteLoss() {
    if (this.#lastID === null && this.state.name === 'live') this.#lost = true;
  }

  #setState(name, status, until) {
    const since = this.state.name === name ? this.state.since : Date.now();
    this.state = { name, since, status, until };
    this.#handlers.state(this.state);
  }
}
