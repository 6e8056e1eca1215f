// The numbers of the filters: all, open, done. They are exact when every task is known.
// Otherwise they are read from the server, and moved by events until they are read again.

import { request } from './api.js';

/** The server's numbers may be this old, in ms. Events of that time may be in them, or not. */
const STALENESS = 1200;
const MAX_REPETITIONS = 3;

/** What an event adds to the numbers. */
const STEPS = {
  'task.created': (task) => ({ total: 1, open: task.done ? 0 : 1, done: task.done ? 1 : 0 }),
  'task.completed': () => ({ total: 0, open: -1, done: 1 }),
  'task.reopened': () => ({ total: 0, open: 1, done: -1 }),
  'task.deleted': (task) => ({ total: -1, open: task.done ? 0 : -1, done: task.done ? -1 : 0 }),
};

export class Counts {
  #elements;
  #tasks;
  #read;
  #lastEvent = -Infinity;
  #timer = 0;

  /**
   * @param {Element} filters whose links have data-state and an element of class count
   * @param {import('./tasks.js').TaskList} tasks
   */
  constructor(filters, tasks) {
    this.#tasks = tasks;
    this.#elements = Object.fromEntries([...filters.querySelectorAll('[data-state]')]
      .map((link) => [link.dataset.state, link.querySelector('.count')]));
    this.#read = Object.fromEntries(Object.entries(this.#elements)
      .map(([state, element]) => [state, Number(element.textContent.replace(/\D/g, ''))]));
  }

  /** Moves the numbers by an event of the contract. */
  apply(event) {
    this.#lastEvent = performance.now();
    const step = STEPS[event.type]?.(event.task);
    if (!step) return;
    for (const state of Object.keys(this.#read)) this.#read[state] = Math.max(0, this.#read[state] + step[state]);
  }

  /**
   * Reads the numbers from the server unless all tasks are known. If events came
   * meanwhile, they are read again a little later, three times at most.
   */
  async refresh(repetition = 0) {
    clearTimeout(this.#timer);
    if (this.#tasks.whole) return;
    const start = performance.now();
    try {
      const { body } = await request('GET', '/tasks/counts');
      if (!['total', 'open', 'done'].every((state) => Number.isInteger(body?.[state]))) return;
      this.#read = { total: body.total, open: body.open, done: body.done };
      this.show();
    } catch {
      // The numbers stay as the events leave them until the next refresh.
      return;
    }
    if (this.#lastEvent > start - STALENESS && repetition < MAX_REPETITIONS) {
      this.#timer = setTimeout(() => this.refresh(repetition + 1), 2 * STALENESS);
    }
  }

  /**
   * Shows the numbers.
   * @param {import('./tasks.js').Task[]} [hidden] tasks that are about to be deleted
   */
  show(hidden = []) {
    const exact = this.#tasks.count();
    if (exact) this.#read = exact;
    const shown = { ...this.#read };
    for (const task of hidden) {
      shown.total--;
      shown[task.done ? 'done' : 'open']--;
    }
    for (const [state, element] of Object.entries(this.#elements)) {
      const text = Math.max(0, shown[state]).toLocaleString('en');
      if (element.textContent !== text) element.textContent = text;
    }
  }
}
