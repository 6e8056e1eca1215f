// The form for adding. A new task stands in the list at once, as a draft, until the server
// has it. Its Idempotency-Key makes a repetition harmless.

import { newKey, repeat, request } from './api.js';
import { priorityOf, titleProblem } from './text.js';

/** Where the typed text of this user outlives a reload of this tab. */
const STORED = `new-title${document.documentElement.dataset.user ?? ''}`;

/**
 * @typedef {object} Draft
 * @property {import('./tasks.js').Task} task
 * @property {string} key
 * @property {object} patch always empty: the draft is the task as it is meant
 * @property {string} state saving, waiting or failed
 * @property {string} sentence
 * @property {{label: string, run: () => void}[]} actions
 * @property {AbortController} abort
 */

export class Adding {
  #form;
  #field;
  #priority;
  #problem;
  #parts;
  #made = 0;
  /** @type {Map<string, Draft>} */
  #drafts = new Map();
  /** Events that may be about drafts on their way. */
  #heldBack = [];

  /**
   * @param {HTMLFormElement} form
   * @param {{tasks: import('./tasks.js').TaskList, rows: import('./rows.js').Rows, draw: (id: number|string, how?: object) => void,
   *   status: import('./status.js').Status, countdown: import('./countdown.js').Countdown, apply: (event: object) => void,
   *   added: (task: object) => void}} parts
   *   apply takes the events that were held back; added is called with a task that the server has now
   */
  constructor(form, parts) {
    this.#form = form;
    this.#parts = parts;
    this.#field = form.elements.namedItem('title');
    this.#priority = form.elements.namedItem('priority');
    this.#problem = form.querySelector('.problem');
    form.noValidate = true; // the page's own sentence says what is wrong
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#field.addEventListener('input', () => {
      this.#showProblem('');
      store(this.#field.value);
    });
    if (this.#field.value === '') this.#field.value = stored();
  }

  /** Moves the focus to the field. */
  focus() {
    this.#field.focus();
  }

  /** The ids of drafts that wait or failed. */
  get pending() {
    return [...this.#drafts].filter(([, draft]) => draft.state !== 'saving').map(([id]) => id);
  }

  /** Returns what is unsaved of a draft. @returns {Draft|undefined} */
  get(id) {
    return this.#drafts.get(id);
  }

  /**
   * Keeps an event that may announce a draft, until the server has answered. Otherwise the
   * task would stand in the list twice for a moment.
   * @returns {boolean} whether it was kept
   */
  holdBack(event) {
    if (event.type !== 'task.created') return false;
    const title = event.task.title;
    const mine = [...this.#drafts.values()].some(({ task, state }) => state !== 'failed' && task.title === title);
    if (mine) this.#heldBack.push(event);
    return mine;
  }

  /**
   * Adds a task.
   * @param {string} title trimmed
   * @param {number} priority
   */
  add(title, priority) {
    const id = `draft-${++this.#made}`;
    const task = { id, title, priority, done: false, created_at: new Date().toISOString(), version: 0 };
    const draft = { task, key: newKey(), patch: {}, state: 'saving', sentence: '', actions: [], abort: new AbortController() };
    this.#drafts.set(id, draft);
    this.#parts.tasks.addDraft(task);
    this.#parts.draw(id, { moved: true });
    this.#send(draft);
  }

  #submit() {
    const title = this.#field.value.trim().normalize('NFC'); // as the server keeps it
    const problem = titleProblem(title);
    if (problem) {
      this.#showProblem(problem);
      this.#field.focus();
      return;
    }
    this.#field.value = '';
    store('');
    this.add(title, Number(this.#priority.value));
    this.#priority.value = String(priorityOf('normal'));
    this.#field.focus();
  }

  async #send(draft) {
    const { task, key, abort } = draft;
    const { tasks, rows, draw, added } = this.#parts;
    try {
      const { body } = await repeat(() => {
        this.#enter(draft, 'saving', '', []);
        return request('POST', '/tasks', {
          body: { title: task.title, priority: task.priority }, key, keepalive: true, signal: abort.signal,
        });
      }, { signal: abort.signal, waiting: (failure, until) => this.#wait(draft, failure, until) });
      this.#forget(draft);
      rows.rename(task.id, body.id);
      tasks.put(body);
      draw(body.id, { moved: true });
      added(body);
    } catch (error) {
      if (error.name === 'AbortError') this.#forget(draft);
      else this.#fail(draft, error);
    }
    this.#releaseEvents();
  }

  #wait(draft, failure, until) {
    this.#enter(draft, 'waiting', '', [{ label: 'Discard', run: () => draft.abort.abort() }]);
    this.#parts.countdown.start(draft, until, (words) => {
      draft.sentence = `Not saved: ${failure.message}. ${words}`;
      this.#parts.draw(draft.task.id);
    });
  }

  /** Gives the text back to the field if it is free; otherwise the draft stays in the list. */
  #fail(draft, error) {
    const sentence = `Not added: ${error.message}.`;
    if (this.#field.value === '') {
      this.#forget(draft);
      this.#field.value = draft.task.title;
      this.#priority.value = String(draft.task.priority);
      store(draft.task.title);
      this.#showProblem(sentence);
      return;
    }
    this.#enter(draft, 'failed', `${sentence} Try again, or discard it.`, [
      { label: 'Try again', run: () => this.#send(draft) },
      { label: 'Discard', run: () => this.#forget(draft) },
    ]);
    this.#parts.status.announce(draft.sentence);
  }

  #enter(draft, state, sentence, actions) {
    this.#parts.countdown.stop(draft);
    Object.assign(draft, { state, sentence, actions });
    this.#parts.draw(draft.task.id);
  }

  #forget(draft) {
    this.#parts.countdown.stop(draft);
    this.#drafts.delete(draft.task.id);
    this.#parts.tasks.remove(draft.task.id, Infinity);
    this.#parts.draw(draft.task.id, { moved: true });
  }

  #releaseEvents() {
    const events = this.#heldBack;
    this.#heldBack = [];
    for (const event of events) {
      if (!this.holdBack(event)) this.#parts.apply(event);
    }
  }

  #showProblem(sentence) {
    this.#problem.textContent = sentence;
    if (sentence) {
      this.#field.setAttribute('aria-invalid', 'true');
      this.#field.setAttribute('aria-describedby', this.#problem.id);
      this.#parts.status.announce(sentence);
    } else {
      this.#field.removeAttribute('aria-invalid');
      this.#field.removeAttribute('aria-describedby');
    }
  }
}

function store(text) {
  try {
    if (text) sessionStorage.setItem(STORED, text);
    else sessionStorage.removeItem(STORED);
  } catch {
    // Without storage the text lives as long as the document.
  }
}

function stored() {
  try {
    return sessionStorage.getItem(STORED) ?? '';
  } catch {
    return '';
  }
}
