// What the page says about a task that was added: the row itself if it is in sight;
// otherwise a toast, which leads to the row.

import { nextFrame } from './frame.js';
import { quote } from './text.js';
import { isInSight } from './unsaved.js';

/** How long the toast stays, in ms. */
const STAYS = 5000;

export class AddedToast {
  #status;
  #rows;
  #toast = null;
  #timer = 0;

  /** @param {{status: import('./status.js').Status, rows: import('./rows.js').Rows}} parts */
  constructor({ status, rows }) {
    this.#status = status;
    this.#rows = rows;
  }

  /**
   * Says that a task was added, once its row is drawn.
   * @param {import('./tasks.js').Task} task
   */
  show(task) {
    nextFrame(() => {
      const row = this.#rows.element(task.id);
      this.#remove();
      if (row && isInSight(row)) {
        this.#status.announce(`Added ${quote(task.title)}.`);
      } else if (row) {
        this.#open(`Added ${quote(task.title)}.`, [{ label: 'Show', run: () => this.#lead(task.id) }]);
      } else {
        this.#open(`Added ${quote(task.title)}. It is further down the list, or not in this view.`, []);
      }
    });
  }

  #open(sentence, actions) {
    this.#toast = this.#status.toast(sentence, actions);
    this.#timer = setTimeout(() => this.#remove(), STAYS);
  }

  #lead(id) {
    this.#remove();
    this.#rows.select(id, { focus: true });
  }

  #remove() {
    clearTimeout(this.#timer);
    this.#toast?.remove();
    this.#toast = null;
  }
}
