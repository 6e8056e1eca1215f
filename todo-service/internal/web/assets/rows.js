// The list in the document: one element per task, found by its id, never rebuilt. Rows are
// made in portions, so that thousands of them do not delay a frame.

import { nextFrame } from './frame.js';
import { Groups, nextRow } from './groups.js';
import { markChanged, readTask, showTask } from './row.js';

/** How long rows are made in one frame, in ms. */
const BUDGET = 8;

export class Rows {
  #list;
  #groups;
  #factory;
  #describe;
  /** @type {Map<number|string, HTMLLIElement>} */
  #elements = new Map();
  #order = [];
  #portion = 0;
  /** The id of the row that is the tab stop of the list. */
  #current = null;

  /**
   * @param {HTMLUListElement} list
   * @param {import('./row.js').RowFactory} factory
   * @param {(id: number|string) => {task: object, unsaved: object|undefined}} describe
   */
  constructor(list, factory, describe) {
    this.#list = list;
    this.#factory = factory;
    this.#groups = new Groups(list);
    list.addEventListener('animationend', (event) => event.target.classList.remove('changed'));
    this.#describe = describe;
  }

  /** Takes over the rows that the server rendered, and returns their tasks in order. */
  adopt() {
    const focused = document.activeElement;
    const rows = this.#groups.adopt();
    const tasks = rows.map((row) => {
      const task = readTask(row);
      this.#elements.set(task.id, row);
      this.#order.push(task.id);
      return task;
    });
    this.#completeRows(rows, 0);
    this.#restoreFocus(this.#list.contains(focused) ? focused : null);
    return tasks;
  }

  /** Adds the tools to rows, from an index on, as long as the budget of a frame lasts. */
  #completeRows(rows, index) {
    const end = performance.now() + BUDGET;
    while (index < rows.length && performance.now() < end) this.#factory.complete(rows[index++]);
    if (index < rows.length) nextFrame(() => this.#completeRows(rows, index));
  }

  /** The id of the current row, or null. */
  get current() {
    return this.#current;
  }

  /** @returns {HTMLLIElement|undefined} */
  element(id) {
    return this.#elements.get(id);
  }

  /** Returns the id of the task in whose row a node is, or null. @param {Node|null} node */
  idOf(node) {
    const row = node instanceof Element ? node.closest('li[data-id]') : null;
    if (!row || !this.#list.contains(row)) return null;
    const id = row.dataset.id;
    return /^\d+$/.test(id) ? Number(id) : id;
  }

  /**
   * Brings the document to an order. Rows that stay are not touched.
   * @param {(number|string)[]} order
   * @param {Set<number|string>} moved ids whose place may have changed
   */
  sync(order, moved) {
    const focused = this.#rememberFocus();
    const wanted = new Set(order);
    for (const [id, row] of this.#elements) {
      if (!wanted.has(id)) {
        this.#groups.remove(row);
        this.#elements.delete(id);
      }
    }
    // Rows that kept their order among themselves stay in the document.
    for (const id of moved) {
      const row = this.#elements.get(id);
      if (row) this.#groups.remove(row);
    }
    this.#order = order;
    this.#portion++;
    this.#place(0, this.#groups.first, this.#portion);
    this.#keepCurrent();
    this.#restoreFocus(focused);
  }

  /** Puts rows in their places, from an index on, as long as the budget of a frame lasts. */
  #place(index, next, portion) {
    if (portion !== this.#portion) return; // the order has changed since
    const end = performance.now() + BUDGET;
    for (; index < this.#order.length; index++) {
      const id = this.#order[index];
      let row = this.#elements.get(id);
      if (row && row === next) {
        next = nextRow(next);
        continue;
      }
      if (!row) {
        const { task, unsaved } = this.#describe(id);
        if (!task) continue; // it went since the order was drawn
        row = this.#factory.create();
        this.#elements.set(id, row);
        showTask(row, task, unsaved);
        if (id === this.#current) this.#check(id).setAttribute('tabindex', '0');
      }
      this.#groups.insert(row, next);
      if (performance.now() > end) {
        this.#groups.settle();
        nextFrame(() => this.#place(index + 1, nextRow(row), portion));
        return;
      }
    }
    this.#groups.settle();
  }

  /**
   * Whether a row shows this version of a task, or will once it is made.
   * @param {import('./tasks.js').Task} task
   */
  shows(task) {
    const row = this.#elements.get(task.id);
    return !row || row.dataset.version === String(task.version);
  }

  /** Shows the present state of a task. @param {number|string} id */
  update(id) {
    const row = this.#elements.get(id);
    const { task, unsaved } = this.#describe(id);
    if (row && task) showTask(row, task, unsaved);
  }

  /** Gives a row the id under which the server has its task. */
  rename(from, to) {
    const row = this.#elements.get(from);
    if (!row) return;
    this.#elements.delete(from);
    const double = this.#elements.get(to);
    if (double) this.#groups.remove(double);
    this.#elements.set(to, row);
    if (this.#current === from) this.#current = to;
  }

  /** Marks a row that changed elsewhere. */
  mark(id) {
    const row = this.#elements.get(id);
    if (row) markChanged(row);
  }

  /**
   * Makes a row the tab stop of the list.
   * @param {number|string|null} id
   * @param {{focus?: boolean}} [options] focus moves the focus there
   */
  select(id, { focus = false } = {}) {
    if (id !== this.#current) {
      this.#check(this.#current)?.setAttribute('tabindex', '-1');
      this.#current = id;
      this.#check(id)?.setAttribute('tabindex', '0');
    }
    if (!focus) return;
    const check = this.#check(id);
    check?.focus({ preventScroll: true });
    this.#elements.get(id)?.scrollIntoView({ block: 'nearest' });
  }

  /**
   * Moves the focus by rows.
   * @param {number} step negative is up
   */
  move(step) {
    if (this.#order.length === 0) return;
    const place = this.#order.indexOf(this.#current);
    const inRow = this.idOf(document.activeElement) !== null;
    const target = !inRow && place >= 0 ? place : Math.max(0, Math.min(this.#order.length - 1, place + step));
    this.select(this.#order[target], { focus: true });
  }

  #check(id) {
    return this.#elements.get(id)?.querySelector('.check');
  }

  /** If the current row has gone, its successor becomes the tab stop. */
  #keepCurrent() {
    if (this.#current !== null && this.#elements.has(this.#current)) return;
    this.select(this.#order[Math.max(0, Math.min(this.#currentPlace, this.#order.length - 1))] ?? null);
  }

  #currentPlace = 0;

  #rememberFocus() {
    const place = this.#order.indexOf(this.#current);
    if (place >= 0) this.#currentPlace = place;
    const element = document.activeElement;
    return this.#list.contains(element) && element !== this.#list ? element : null;
  }

  /** A row that was moved or removed loses the focus; it gets it back, or the current row. */
  #restoreFocus(element) {
    if (!element || document.activeElement === element) return;
    if (element.isConnected) element.focus({ preventScroll: true });
    else if (this.#current !== null) this.#check(this.#current)?.focus({ preventScroll: true });
    else this.#list.focus({ preventScroll: true });
  }
}
