// Reading the list from the server: the view that is selected, its further pages while the
// reader scrolls, and everything again after events were missed. The old rows stay until
// the new ones are there.

import { nextPage, repeat, request } from './api.js';

export class Loader {
  #parts;
  #observer;
  /** The view that is selected; the model has it once it is read. */
  #view;
  #abort = null;
  #next = '';
  #pages = 1;
  #reading = null;
  /** Whether the model was read by this script, and no reload is due. */
  #current = false;

  /**
   * @param {{tasks: import('./tasks.js').TaskList, list: HTMLElement, end: HTMLElement, status: import('./status.js').Status,
   *   countdown: import('./countdown.js').Countdown, loaded: (again: boolean) => void}} parts
   *   end is an element below the last row; loaded is called when the model has changed; again
   *   says that the view is the same as before
   */
  constructor(parts) {
    this.#parts = parts;
    this.#view = parts.tasks.view;
    this.#observer = new IntersectionObserver((entries) => {
      if (entries.at(-1).isIntersecting) this.#readNext();
    }, { rootMargin: '2000px' });
  }

  /** Reads all pages again that are shown. */
  async reload() {
    this.#current = false; // until then the model answers for no other view
    await this.#read(this.#view, this.#view === this.#parts.tasks.view ? this.#pages : 1);
  }

  /**
   * Shows another view: at once if all tasks are known, otherwise when it is read.
   * @param {import('./tasks.js').View} view
   */
  async show(view) {
    const { tasks, loaded } = this.#parts;
    this.#view = view;
    this.#abort?.abort();
    if (this.#current && tasks.whole && view.text === '') {
      this.#setBusy(false);
      tasks.show(view);
      loaded(false);
      return;
    }
    await this.#read(view, 1);
  }

  async #read(view, pages) {
    const { tasks, status, loaded } = this.#parts;
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#parts.countdown.stop(this);
    status.notice('list', '');
    this.#setBusy(true);
    try {
      let all = [];
      let next = addressOf(view);
      let read = 0;
      while (next && read < pages) {
        const { body, headers } = await this.#get(next, abort.signal);
        all = all.concat(body);
        next = nextPage(headers);
        read++;
      }
      this.#next = next;
      this.#pages = read;
      this.#current = true;
      const again = view === tasks.view;
      tasks.replace(view, all, next !== '');
      this.#setBusy(false);
      loaded(again);
      this.#watchEnd();
    } catch (error) {
      if (error.name === 'AbortError') return; // another view was selected
      this.#setBusy(false);
      this.#showFailure(error, () => this.#read(view, pages));
    }
  }

  async #readNext() {
    const { tasks, status, loaded } = this.#parts;
    if (!this.#next || this.#reading) return;
    const abort = this.#abort;
    this.#reading = abort;
    try {
      const { body, headers } = await this.#get(this.#next, abort.signal);
      if (abort !== this.#abort) return;
      this.#next = nextPage(headers);
      this.#pages++;
      tasks.append(body, this.#next !== '');
      status.notice('list', '');
      loaded(true);
      this.#watchEnd();
    } catch (error) {
      if (error.name !== 'AbortError') this.#showFailure(error, () => this.#readNext());
    } finally {
      this.#reading = null;
    }
  }

  /** Reads the next page when the end of the list is near: now, if the reader is there already. */
  #watchEnd() {
    this.#observer.disconnect();
    if (this.#next) this.#observer.observe(this.#parts.end);
  }

  #get(address, signal) {
    const { status, countdown } = this.#parts;
    return repeat(async () => {
      const answer = await request('GET', address, { signal });
      countdown.stop(this);
      return answer;
    }, {
      signal,
      waiting: (failure, until) => countdown.start(this, until, (words) => {
        status.notice('list', `The list could not be loaded: ${failure.message}. ${words}`);
      }),
    });
  }

  #showFailure(error, again) {
    this.#parts.countdown.stop(this);
    this.#parts.status.notice('list', `The list could not be loaded: ${error.message}.`, { label: 'Try again', run: again });
  }

  #setBusy(busy) {
    const { list, countdown, status } = this.#parts;
    list.setAttribute('aria-busy', String(busy));
    if (!busy) countdown.stop(this);
    if (!busy) status.notice('list', '');
  }
}

/** Returns the API's address of a view. */
function addressOf(view) {
  const query = new URLSearchParams();
  if (view.done !== null) query.set('done', String(view.done));
  if (view.text !== '') query.set('q', view.text);
  if (view.sort !== 'id') query.set('sort', view.sort);
  const text = query.toString();
  return text ? `/tasks?${text}` : '/tasks'; // without a query, the answer comes from the cache
}
