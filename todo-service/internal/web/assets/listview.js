// When the list is drawn: changes of a moment are drawn together in one frame. While a
// pointer is down or a field is edited the list holds still, and says how much has changed.

import { nextFrame } from './frame.js';
import { count, quote } from './text.js';

export class ListView {
  #parts;
  #scheduled = false;
  /** Ids whose rows show something new. */
  #changed = new Set();
  /** Ids whose place may be another. */
  #moved = new Set();
  /** Ids that changed elsewhere and are not drawn yet. */
  #remote = new Set();
  #holds = new Set();
  #order = null;
  /** Whether the whole list is drawn again, so that it stays where it is. */
  #again = false;

  /**
   * @param {{tasks: import('./tasks.js').TaskList, rows: import('./rows.js').Rows, anchor: import('./anchor.js').Anchor,
   *   status: import('./status.js').Status, counts: import('./counts.js').Counts, empty: HTMLElement,
   *   isHidden: (id: number|string) => boolean, hidden: () => object[], failed: () => boolean, drawn: () => void}} parts
   *   isHidden tells tasks that are about to be deleted; failed tells that there is no list to show
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * Draws a task in the next frame.
   * @param {number|string} id
   * @param {{remote?: boolean, moved?: boolean}} [how] remote marks the row; moved says
   *   that its place may be another
   */
  draw(id, { remote = false, moved = false } = {}) {
    this.#changed.add(id);
    if (moved) this.#moved.add(id);
    if (remote) this.#remote.add(id);
    this.#schedule();
  }

  /**
   * Draws the whole list in the next frame.
   * @param {{again: boolean}} how again says that it is the same view as before
   */
  drawAll({ again }) {
    this.#again ||= again;
    const { tasks, rows } = this.#parts;
    for (const id of tasks.order) {
      if (!rows.shows(tasks.get(id))) this.#changed.add(id);
    }
    this.#order = null;
    this.#schedule();
  }

  /**
   * Holds the list still.
   * @param {string} reason
   */
  hold(reason) {
    this.#holds.add(reason);
  }

  /** Ends a hold, and draws what has changed. @param {string} reason */
  release(reason) {
    if (this.#holds.delete(reason) && this.#holds.size === 0) this.#schedule();
  }

  /** Draws at once: the next key finds the focus where it belongs. */
  drawNow() {
    this.#draw();
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    nextFrame(() => {
      if (this.#scheduled) this.#draw();
    });
  }

  #draw() {
    this.#scheduled = false;
    this.#drawRows();
    this.#parts.drawn();
  }

  #drawRows() {
    const { tasks, rows, anchor, status, counts, hidden } = this.#parts;
    counts.show(hidden());
    if (this.#holds.size > 0) {
      // What the reader does here is shown; what others did waits.
      for (const id of this.#changed) {
        if (this.#remote.has(id)) continue;
        rows.update(id);
        this.#changed.delete(id);
      }
      const waiting = [...this.#remote].filter((id) => !this.#parts.isHidden(id) && (rows.element(id) || tasks.isShown(id))).length;
      status.notice('held', waiting > 0 ? count(waiting, 'change') : '');
      return;
    }
    status.notice('held', '');
    const changed = this.#changed;
    const moved = this.#moved;
    const remote = this.#remote;
    this.#changed = new Set();
    this.#moved = new Set();
    this.#remote = new Set();
    const order = tasks.order.filter((id) => !this.#parts.isHidden(id));
    const change = () => {
      if (this.#order === null || moved.size > 0) rows.sync(order, moved);
      this.#order = order;
      for (const id of changed) rows.update(id);
    };
    // What the reader did here may move rows; what came from elsewhere may not.
    if (remote.size > 0 || this.#again) anchor.keep((row) => moved.has(rows.idOf(row)), change);
    else change();
    this.#again = false;
    for (const id of remote) rows.mark(id);
    this.#showEmpty(order.length === 0 && tasks.complete);
  }

  /** Says why the list is empty, and what to do. */
  #showEmpty(empty) {
    const { tasks, empty: element, failed } = this.#parts;
    element.hidden = !empty || failed();
    if (element.hidden) return;
    const { text, done } = tasks.view;
    let sentence = 'Nothing to do. Add the first task above.';
    if (text !== '') sentence = `Nothing found for ${quote(text)}. Try fewer letters, or another filter.`;
    else if (done === true) sentence = 'Nothing done yet. Check a task to see it here.';
    else if (done === false) sentence = 'Nothing open. Add a task above, or see what is done.';
    if (element.textContent !== sentence) element.textContent = sentence;
  }
}
