// Deleting with undo: the row goes at once, the request is sent after five seconds, or
// when the page is left. What the server refuses comes back, with a sentence.

import { repeat, request } from './api.js';
import { quote } from './text.js';

/** How long a deletion can be undone, in s. */
const UNDO = 5;

/**
 * @typedef {object} Deletion
 * @property {import('./tasks.js').Task} task
 * @property {number} version that is deleted
 * @property {{remove: () => void, countdown: (seconds: number) => void}} toast
 * @property {number} timer
 * @property {boolean} hidden whether the row is hidden
 * @property {boolean} sent
 * @property {object} patch always empty
 * @property {string} state
 * @property {string} sentence
 * @property {{label: string, run: () => void}[]} actions
 * @property {AbortController} abort
 */

export class Deletions {
  #parts;
  /** @type {Map<number, Deletion>} */
  #deletions = new Map();

  /**
   * @param {{tasks: import('./tasks.js').TaskList, draw: (id: number, how?: object) => void,
   *   status: import('./status.js').Status, countdown: import('./countdown.js').Countdown, sending: (id: number) => void,
   *   restored: (id: number) => void}} parts
   *   sending is called when a deletion can no longer be undone; restored, when it was undone
   */
  constructor(parts) {
    this.#parts = parts;
    addEventListener('pagehide', () => this.#sendAll());
    document.addEventListener('visibilitychange', () => {
      // A telephone may end a hidden page without a pagehide. Elsewhere undo outlives a look at another tab.
      if (document.hidden && matchMedia('(pointer: coarse)').matches) this.#sendAll();
    });
  }

  /** Returns what is unsaved of a task whose deletion is shown. @returns {Deletion|undefined} */
  get(id) {
    const deletion = this.#deletions.get(id);
    return deletion && !deletion.hidden ? deletion : undefined;
  }

  /** Whether the row of a task is hidden. */
  isHidden(id) {
    return this.#deletions.get(id)?.hidden === true;
  }

  /** The tasks whose rows are hidden. */
  get hidden() {
    return [...this.#deletions.values()].filter((deletion) => deletion.hidden).map((deletion) => deletion.task);
  }

  /** The ids of tasks whose deletion waits, failed, or needs an answer. */
  get pending() {
    return [...this.#deletions].filter(([, deletion]) => !deletion.hidden).map(([id]) => id);
  }

  /** Deletes a task in five seconds. @param {number} id */
  start(id) {
    const task = this.#parts.tasks.get(id);
    if (!task || this.#deletions.has(id)) return;
    const toast = this.#parts.status.toast(`Deleted ${quote(task.title)}.`, [{ label: 'Undo', run: () => this.undo(id) }]);
    const deletion = {
      task, version: task.version, toast, timer: 0, hidden: true, sent: false,
      patch: {}, state: 'saving', sentence: '', actions: [], abort: new AbortController(),
    };
    this.#deletions.set(id, deletion);
    let left = UNDO;
    toast.countdown(left);
    deletion.timer = setInterval(() => {
      left--;
      toast.countdown(left);
      if (left === 0) this.#send(id, deletion);
    }, 1000);
    this.#parts.draw(id, { moved: true });
  }

  /**
   * Takes a deletion back that was not sent yet: the given one, or the last one.
   * @param {number} [id]
   * @returns {boolean} whether there was one
   */
  undo(id) {
    const last = id ?? [...this.#deletions.keys()].findLast((key) => !this.#deletions.get(key).sent);
    const deletion = this.#deletions.get(last);
    if (!deletion || deletion.sent) return false;
    this.#forget(last, deletion);
    this.#parts.restored(last);
    this.#parts.status.announce(`${quote(deletion.task.title)} is back.`);
    return true;
  }

  /**
   * Takes note of a version that a change of this tab made: the reader saw it before deleting.
   * @param {number} id
   * @param {number} version
   */
  follow(id, version) {
    const deletion = this.#deletions.get(id);
    if (deletion && !deletion.sent) deletion.version = version;
  }

  /** Takes note that a task was deleted, here or elsewhere. */
  settle(id) {
    const deletion = this.#deletions.get(id);
    if (deletion && !this.#parts.tasks.get(id)) this.#forget(id, deletion);
  }

  #sendAll() {
    for (const [id, deletion] of this.#deletions) {
      if (!deletion.sent) this.#send(id, deletion);
    }
  }

  async #send(id, deletion) {
    const { draw, sending } = this.#parts;
    deletion.sent = true;
    sending(id);
    clearInterval(deletion.timer);
    deletion.toast.remove();
    try {
      await this.#request(id, deletion, 'DELETE', { version: deletion.version, keepalive: true });
      this.#settleGone(id, deletion, deletion.version + 1);
    } catch (error) {
      await this.#fail(id, deletion, error);
    }
    draw(id, { moved: true });
  }

  /** Sends a request about the task of a deletion until it is answered. */
  #request(id, deletion, method, options = {}) {
    const { signal } = deletion.abort;
    return repeat(() => request(method, `/tasks/${id}`, { ...options, signal }), {
      signal, waiting: (failure, until) => this.#wait(id, deletion, failure, until),
    });
  }

  async #fail(id, deletion, error) {
    if (error.name === 'AbortError') return;
    if (error.status === 404) this.#settleGone(id, deletion, Infinity);
    else if (error.status === 412) await this.#compare(id, deletion);
    else this.#showRefused(id, deletion, 'failed', `Not deleted: ${error.message}.`, 'Try again');
  }

  /** Reads the task that another client changed, and asks: the event may never have come. */
  async #compare(id, deletion) {
    const { tasks, draw, status } = this.#parts;
    try {
      const { body } = await this.#request(id, deletion, 'GET');
      if (tasks.put(body)) draw(id, { moved: true });
      deletion.version = body.version;
      const sentence = 'Not deleted: the task was changed meanwhile';
      if (tasks.isShown(id)) {
        this.#showRefused(id, deletion, 'conflict', `${sentence}.`, 'Delete it anyway');
        return;
      }
      this.#forget(id, deletion);
      status.announce(`${sentence}, and is not in this list any more.`);
    } catch (error) {
      await this.#fail(id, deletion, error);
    }
  }

  #settleGone(id, deletion, version) {
    this.#parts.tasks.remove(id, version);
    this.#forget(id, deletion);
  }

  #wait(id, deletion, failure, until) {
    this.#show(id, deletion, 'waiting', '', [{ label: 'Keep it', run: () => this.#forget(id, deletion) }]);
    this.#parts.countdown.start(deletion, until, (words) => {
      deletion.sentence = `Not deleted: ${failure.message}. ${words}`;
      this.#parts.draw(id);
    });
  }

  #showRefused(id, deletion, state, sentence, again) {
    this.#show(id, deletion, state, sentence, [
      { label: again, run: () => this.#repeat(id, deletion) },
      { label: 'Keep it', run: () => this.#forget(id, deletion) },
    ]);
    this.#parts.status.announce(sentence);
  }

  async #repeat(id, deletion) {
    deletion.version = this.#parts.tasks.get(id)?.version ?? deletion.version;
    this.#show(id, deletion, 'saving', '', []);
    await this.#send(id, deletion);
  }

  #show(id, deletion, state, sentence, actions) {
    this.#parts.countdown.stop(deletion);
    Object.assign(deletion, { hidden: false, state, sentence, actions });
    this.#parts.draw(id, { moved: true });
  }

  #forget(id, deletion) {
    clearInterval(deletion.timer);
    deletion.toast.remove();
    deletion.abort.abort();
    this.#parts.countdown.stop(deletion);
    if (this.#deletions.get(id) === deletion) this.#deletions.delete(id);
    this.#parts.draw(id, { moved: true });
  }
}
