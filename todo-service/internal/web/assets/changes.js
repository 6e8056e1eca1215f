// Changes of tasks that the server does not have yet. A row shows them at once; the
// server's answer decides. Of a task one request is on its way at a time.
//
//   saving ──200──▶ gone            saving ──429, 503, no network──▶ waiting ──▶ saving
//   saving ──412──▶ conflict (keep mine: saving again; take theirs: gone)
//   saving ──other failure──▶ failed (try again: saving; discard: gone)

import { RequestError, repeat, request } from './api.js';
import { levelOf, quote } from './text.js';

/**
 * @typedef {object} Entry
 * @property {import('./tasks.js').Task} task as it was at the first change
 * @property {{title?: string, priority?: number, done?: boolean}} patch what is meant
 * @property {number} base the version that the reader saw
 * @property {string} state saving, waiting, conflict or failed
 * @property {string} sentence
 * @property {{label: string, run: () => void}[]} actions
 * @property {boolean} sending
 * @property {AbortController} abort
 */

export class Changes {
  #tasks;
  #draw;
  #status;
  #countdown;
  #saved;
  #gone;
  /** @type {Map<number, Entry>} */
  #entries = new Map();

  /**
   * @param {{tasks: import('./tasks.js').TaskList, draw: (id: number, how?: object) => void,
   *   status: import('./status.js').Status, countdown: import('./countdown.js').Countdown,
   *   saved: (id: number, version: number) => void, gone: (id: number, task: object, patch: object) => void}} parts
   *   saved is called with the version that a change of this tab made; gone is called with
   *   what was meant for a task that no longer exists
   */
  constructor({ tasks, draw, status, countdown, saved, gone }) {
    this.#tasks = tasks;
    this.#draw = draw;
    this.#status = status;
    this.#countdown = countdown;
    this.#saved = saved;
    this.#gone = gone;
  }

  /** Returns what is unsaved of a task. @returns {Entry|undefined} */
  get(id) {
    return this.#entries.get(id);
  }

  /** The ids of tasks whose change waits, failed, or needs an answer. */
  get pending() {
    return [...this.#entries].filter(([, entry]) => entry.state !== 'saving').map(([id]) => id);
  }

  /**
   * Changes a task.
   * @param {number} id
   * @param {{title?: string, priority?: number, done?: boolean}} patch
   * @param {number} [base] the version that the reader saw; by default the known one
   */
  make(id, patch, base) {
    const task = this.#tasks.get(id);
    if (!task) return;
    let entry = this.#entries.get(id);
    if (!entry) {
      entry = { task, patch: {}, base: base ?? task.version, state: 'saving', sentence: '', actions: [], sending: false, abort: null };
      this.#entries.set(id, entry);
    }
    entry.patch = { ...entry.patch, ...patch };
    this.#draw(id);
    if (entry.state === 'conflict') this.settle(id); // the question names what is meant now
    if (entry.state === 'failed') this.#enter(id, entry, 'saving', '', []);
    if (entry.state === 'saving') this.#send(id, entry);
  }

  /**
   * Takes note of a newer state of a task: a change that it already has is saved, whatever
   * happened to the response.
   */
  settle(id) {
    const entry = this.#entries.get(id);
    const task = this.#tasks.get(id);
    if (!entry || entry.sending || !task) return;
    if (!differs(task, entry.patch)) this.#finish(id, entry);
    else if (entry.state === 'conflict') this.#askAgain(id, entry, task);
  }

  /** Takes note that a task was deleted elsewhere. What was meant for it is handed on. */
  settleDeleted(id) {
    const entry = this.#entries.get(id);
    if (!entry) return;
    this.#finish(id, entry);
    this.#gone(id, entry.task, entry.patch);
  }

  /** Takes note that every task may have a newer state. */
  settleAll() {
    for (const id of [...this.#entries.keys()]) this.settle(id);
  }

  /** Drops what is unsaved of a task, and shows the server's state. */
  discard(id) {
    const entry = this.#entries.get(id);
    if (entry) this.#finish(id, entry);
  }

  /**
   * Puts a change into the state of conflict without a request: the reader has seen that
   * the task changed meanwhile.
   */
  ask(id, patch, base) {
    const before = this.#entries.get(id)?.patch;
    this.discard(id);
    const entry = {
      task: this.#tasks.get(id), patch: { ...before, ...patch }, base,
      state: 'conflict', sentence: '', actions: [], sending: false, abort: null,
    };
    this.#entries.set(id, entry);
    this.#askAgain(id, entry, this.#tasks.get(id));
  }

  async #send(id, entry) {
    if (entry.sending) return;
    const task = this.#tasks.get(id);
    if (task && task.version === entry.base && !differs(task, entry.patch)) { // done and undone meanwhile
      this.#finish(id, entry);
      return;
    }
    entry.sending = true;
    entry.abort = new AbortController();
    const { signal } = entry.abort;
    let sent;
    try {
      const { body } = await repeat(() => {
        if (entry.state === 'waiting') this.#enter(id, entry, 'saving', '', []);
        sent = { ...entry.patch }; // what is meant now, after a wait
        return request('PATCH', `/tasks/${id}`, { body: sent, version: entry.base, keepalive: true, signal });
      }, { signal, waiting: (failure, until) => this.#wait(id, entry, failure, until) });
      entry.sending = false;
      this.#takeAnswer(id, entry, sent, body);
    } catch (error) {
      entry.sending = false;
      if (error.name === 'AbortError') return;
      this.#fail(id, entry, error);
    }
  }

  #takeAnswer(id, entry, sent, task) {
    if (this.#tasks.put(task)) this.#draw(id, { moved: true });
    entry.base = task.version;
    this.#saved(id, task.version);
    for (const [field, value] of Object.entries(sent)) {
      if (entry.patch[field] === value) delete entry.patch[field];
    }
    if (Object.keys(entry.patch).length === 0) this.#finish(id, entry);
    else this.#send(id, entry); // changed again while the request was on its way
  }

  #wait(id, entry, failure, until) {
    this.#enter(id, entry, 'waiting', '', [
      { label: 'Discard', run: () => this.discard(id) },
    ]);
    this.#countdown.start(entry, until, (words) => {
      entry.sentence = `Not saved: ${failure.message}. ${words}`;
      this.#draw(id);
    });
  }

  async #fail(id, entry, error) {
    if (!(error instanceof RequestError)) throw error;
    if (error.status === 404) {
      if (this.#tasks.remove(id, Infinity)) this.#draw(id, { moved: true });
      this.settleDeleted(id);
      return;
    }
    if (error.status === 412) {
      await this.#compare(id, entry);
      return;
    }
    this.#enter(id, entry, 'failed', `Not saved: ${error.message}. Change it, try again, or discard it.`, [
      { label: 'Try again', run: () => { this.#enter(id, entry, 'saving', '', []); this.#send(id, entry); } },
      { label: 'Discard', run: () => this.discard(id) },
    ]);
    this.#status.announce(entry.sentence);
  }

  /** Reads the task that another client changed, and asks, unless it has what was meant. */
  async #compare(id, entry) {
    entry.sending = true;
    try {
      const { signal } = entry.abort;
      const { body } = await repeat(() => request('GET', `/tasks/${id}`, { signal }), {
        signal, waiting: (failure, until) => this.#wait(id, entry, failure, until),
      });
      entry.sending = false;
      if (this.#tasks.put(body)) this.#draw(id, { moved: true });
      if (this.#entries.get(id) !== entry) return;
      if (!differs(body, entry.patch)) this.#finish(id, entry);
      else this.#askAgain(id, entry, this.#tasks.get(id) ?? body);
    } catch (error) {
      entry.sending = false;
      if (error.name !== 'AbortError') this.#fail(id, entry, error);
    }
  }

  /** Shows both states, and asks which one shall be. */
  #askAgain(id, entry, task) {
    const asked = entry.state === 'conflict' && entry.sentence !== '';
    this.#enter(id, entry, 'conflict', `Changed meanwhile to ${describe(task)}. Yours: ${describePatch(entry.patch)}.`, [
      { label: 'Keep mine', run: () => this.#keepMine(id, entry) },
      { label: 'Take theirs', run: () => this.discard(id) },
    ]);
    if (!asked) this.#status.announce(entry.sentence);
  }

  #keepMine(id, entry) {
    entry.base = this.#tasks.get(id)?.version ?? entry.base;
    this.#enter(id, entry, 'saving', '', []);
    this.#send(id, entry);
  }

  #enter(id, entry, state, sentence, actions) {
    this.#countdown.stop(entry);
    Object.assign(entry, { state, sentence, actions });
    this.#draw(id);
  }

  #finish(id, entry) {
    entry.abort?.abort();
    this.#countdown.stop(entry);
    if (this.#entries.get(id) === entry) this.#entries.delete(id);
    this.#draw(id);
  }
}

/** Whether a task lacks something of a patch. */
function differs(task, patch) {
  return Object.entries(patch).some(([field, value]) => task[field] !== value);
}

/** Returns a task in words: “Learn Go”, open, high. */
function describe(task) {
  return `${quote(task.title)}, ${task.done ? 'done' : 'open'}, ${levelOf(task.priority)}`;
}

/** Returns a patch in words, with the fields that it has. */
function describePatch(patch) {
  const words = [];
  if (patch.title !== undefined) words.push(quote(patch.title));
  if (patch.done !== undefined) words.push(patch.done ? 'done' : 'open');
  if (patch.priority !== undefined) words.push(levelOf(patch.priority));
  return words.join(', ');
}
