// The sign of the connection: connecting, live, reconnecting since a time, or offline; and
// the line that says what the server answered.

import { wakeRepetitions } from './api.js';
import { formatClock } from './time.js';

/** A break that is over within this time is not announced, in ms. */
const SHORT = 2000;

export class Connection {
  #sign;
  #status;
  #countdown;
  #probe;
  #state = null;
  #deviceOffline = false;
  #announced = 'live';
  #timer = 0;

  /**
   * @param {HTMLElement} sign
   * @param {{status: import('./status.js').Status, countdown: import('./countdown.js').Countdown, probe: string, wake: () => void}} parts
   *   probe is the address of an asset, which costs no request of the rate limit; wake
   *   makes a waiting stream connect
   */
  constructor(sign, { status, countdown, probe, wake }) {
    this.#sign = sign;
    this.#status = status;
    this.#countdown = countdown;
    this.#probe = probe;
    addEventListener('offline', () => this.#checkDevice());
    addEventListener('online', () => {
      this.#deviceOffline = false;
      wake();
      wakeRepetitions();
      this.#show();
    });
    if (!navigator.onLine) this.#checkDevice();
  }

  /** Takes the state of the event stream. */
  set(state) {
    const returned = state.name === 'live' && this.#state?.name !== 'live';
    this.#state = state;
    if (returned) {
      this.#deviceOffline = false;
      wakeRepetitions();
    }
    this.#show();
  }

  /** A browser without a network may still reach a server on its own machine. */
  async #checkDevice() {
    try {
      await fetch(this.#probe, { method: 'HEAD', cache: 'no-store' });
      this.#deviceOffline = false;
    } catch {
      this.#deviceOffline = !navigator.onLine;
    }
    this.#show();
  }

  #show() {
    const state = this.#state;
    let name = state?.name ?? 'connecting';
    if (this.#deviceOffline || (state && name !== 'live' && !state.online)) name = 'offline';
    const words = { connecting: 'Connecting', live: 'Live', offline: 'Offline' };
    if (name === 'reconnecting') words[name] = `Reconnecting since ${formatClock(new Date(state.since))}`;
    this.#sign.dataset.connection = name;
    if (this.#sign.textContent !== words[name]) this.#sign.textContent = words[name];
    this.#sign.hidden = false;
    this.#showNotice(name, state);
    this.#announce(name);
  }

  /** Says why nothing arrives, and what happens next. */
  #showNotice(name, state) {
    this.#countdown.stop(this);
    if (name === 'offline') {
      this.#status.notice('connection', 'This device is offline. The list shows what was last known; changes are sent when it is back.');
      return;
    }
    const reasons = { 429: 'Too many requests', 503: 'The server is busy', 502: 'The server is busy' };
    if (name === 'live' || !state?.until || !(state.status in reasons)) {
      this.#status.notice('connection', '');
      return;
    }
    this.#countdown.start(this, state.until, (words) => {
      this.#status.notice('connection', `Live changes stopped: ${reasons[state.status].toLowerCase()}. ${words}`);
    });
  }

  /** Announces a change that lasts. The line about being offline announces itself. */
  #announce(name) {
    clearTimeout(this.#timer);
    if (name === this.#announced || name === 'connecting') return;
    this.#timer = setTimeout(() => {
      const sentences = { live: 'Live again.', reconnecting: 'The connection is lost. Reconnecting.', offline: '' };
      if (this.#state && sentences[name]) this.#status.announce(sentences[name]);
      this.#announced = name;
    }, name === 'live' ? 0 : SHORT);
  }
}
