// The tab's side of the event stream: from the shared worker, or, where there is none, a
// stream of its own.

import { EventStream } from './stream.js';

/** The worker sends a ping every 10 s. After three times that the tab connects again. */
const MAX_SILENCE = 30_000;

/**
 * Connects to the event stream.
 * @param {URL} workerURL
 * @param {{state: (state: object) => void, events: (events: object[]) => void, reset: () => void}} handlers
 *   events gets parsed events of the contract; reset says that events may have been
 *   missed, and that the stream is live again
 * @returns {{wake: () => void}} wake makes a waiting stream connect now
 */
export function connectLive(workerURL, handlers) {
  const parsed = { ...handlers, events: (events) => handlers.events(parseEvents(events)) };
  if (typeof SharedWorker === 'function') {
    try {
      return new WorkerConnection(workerURL, document.documentElement.dataset.session ?? '', parsed);
    } catch {
      // The browser refuses shared workers here, for example in a private window.
    }
  }
  return ownStream(parsed);
}

/** Returns the events that are ones of the contract. */
function parseEvents(events) {
  const known = [];
  for (const { data } of events) {
    try {
      const event = JSON.parse(data);
      if (Number.isInteger(event?.task_id) && Number.isInteger(event.task?.version)) known.push(event);
    } catch {
      // A newer server may send what this page does not know.
    }
  }
  return known;
}

function ownStream(handlers) {
  const stream = new EventStream('/events', {
    ...handlers,
    state: (state) => handlers.state({ ...state, online: navigator.onLine }),
  });
  addEventListener('online', () => stream.wake());
  addEventListener('offline', () => handlers.state({ ...stream.state, online: false }));
  // A page in the back-forward cache must hold no connection.
  addEventListener('pagehide', () => stream.stop());
  addEventListener('pageshow', (shown) => { if (shown.persisted) stream.start(); });
  stream.start();
  return stream;
}

class WorkerConnection {
  #url;
  #name;
  #handlers;
  #port = null;
  /** The time of the last message, or of the attempt to connect, in ms. */
  #heard = 0;
  #answered = false;
  /** Whether events may have been missed; true until the stream is live once more. */
  #missed = false;

  /** @param {string} session whose tabs share a worker; "" without sign-in */
  constructor(url, session, handlers) {
    this.#url = trustedURL(url);
    this.#name = `todo-events${session}`;
    this.#handlers = handlers;
    this.#open();
    addEventListener('pagehide', () => this.#post('bye'));
    addEventListener('pageshow', (shown) => { if (shown.persisted && this.#port) this.#reopen(); });
    document.addEventListener('visibilitychange', () => { if (!document.hidden) this.#check(); });
    setInterval(() => this.#check(), 10_000);
  }

  wake() {
    this.#post('wake');
  }

  #open() {
    const worker = new SharedWorker(this.#url, { type: 'module', name: this.#name });
    const port = worker.port;
    worker.addEventListener('error', () => {
      // The script cannot be loaded or run. Without a worker the tab has its own stream.
      if (!this.#answered && this.#port === port) {
        this.#port = null;
        ownStream(this.#handlers);
      }
    });
    port.addEventListener('message', (message) => { if (port === this.#port) this.#receive(message.data); });
    port.start();
    this.#port = port;
    this.#heard = Date.now();
    this.#post('hello');
  }

  #reopen() {
    this.#missed = true;
    this.#port.close();
    this.#open();
  }

  #check() {
    if (this.#port && Date.now() - this.#heard > MAX_SILENCE) this.#reopen();
  }

  #post(type) {
    this.#port?.postMessage({ type });
  }

  #receive(message) {
    this.#heard = Date.now();
    this.#answered = true;
    switch (message.type) {
      case 'ping': this.#post('alive'); break;
      case 'dropped': this.#reopen(); break;
      case 'events': this.#handlers.events(message.events); break;
      case 'reset': this.#handlers.reset(); break;
      case 'state':
        this.#handlers.state(message.state);
        if (this.#missed && message.state.name === 'live') {
          this.#missed = false;
          this.#handlers.reset();
        }
    }
  }
}

/** Returns the URL as Trusted Types want it. The page's policy allows this script alone. */
function trustedURL(url) {
  if (typeof trustedTypes === 'undefined') return url;
  const policy = trustedTypes.createPolicy('todo', {
    createScriptURL: (text) => {
      if (text !== url.href) throw new TypeError('another script than the worker');
      return text;
    },
  });
  return policy.createScriptURL(url.href);
}
