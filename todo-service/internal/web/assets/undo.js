// The last changes of this tab, so that u takes them back: a deletion that was not sent
// yet, or a change, which is then made in reverse.

import { quote } from './text.js';

const MAX_CHANGES = 50;

export class UndoStack {
  #parts;
  /** @type {{id: number, patch: object}[]} */
  #stack = [];

  /**
   * @param {{tasks: import('./tasks.js').TaskList, changes: import('./changes.js').Changes,
   *   deletions: import('./deletions.js').Deletions, status: import('./status.js').Status}} parts
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /**
   * Remembers a change.
   * @param {number} id
   * @param {{title?: string, priority?: number, done?: boolean}} patch what was before
   */
  remember(id, patch) {
    this.#stack.push({ id, patch });
    if (this.#stack.length > MAX_CHANGES) this.#stack.shift();
  }

  /** Takes the last change back; of deletions and changes, a deletion first. */
  undo() {
    const { tasks, changes, deletions, status } = this.#parts;
    if (deletions.undo()) return;
    let last;
    let task;
    do {
      last = this.#stack.pop();
      task = last && tasks.get(last.id);
    } while (last && !task); // a task that was deleted since
    if (!task) {
      status.announce('Nothing to undo.');
      return;
    }
    changes.make(last.id, last.patch);
    status.announce(`Undone: ${quote(task.title)}.`);
  }
}
