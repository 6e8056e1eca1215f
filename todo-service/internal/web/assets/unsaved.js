// A notice about changes that are not saved and whose rows are out of sight. Rows in sight
// say it themselves.

import { count } from './text.js';

export class UnsavedNotice {
  #status;
  #rows;
  #holders;

  /**
   * @param {{status: import('./status.js').Status, rows: import('./rows.js').Rows, holders: {pending: (number|string)[]}[]}} parts
   *   pending has the ids of tasks whose change waits, failed, or needs an answer
   */
  constructor({ status, rows, holders }) {
    this.#status = status;
    this.#rows = rows;
    this.#holders = holders;
  }

  /** Whether something would be lost if the page were left now. */
  get needed() {
    return this.#holders.some((holder) => holder.pending.length > 0);
  }

  /** Shows the notice, or takes it away. */
  show() {
    const hidden = this.#holders.flatMap((holder) => holder.pending).filter((id) => {
      const row = this.#rows.element(id);
      return row && !isInSight(row); // in another view there is no row to show
    });
    if (hidden.length === 0) {
      this.#status.notice('unsaved', '');
      return;
    }
    this.#status.notice('unsaved', `${count(hidden.length, 'change')} not saved yet.`, {
      label: 'Show', run: () => this.#rows.select(hidden[0], { focus: true }),
    });
  }
}

/** Whether a part of an element is in the window. @param {Element} row */
export function isInSight(row) {
  const { top, bottom } = row.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}
