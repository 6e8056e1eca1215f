// The model: the tasks that this tab knows, and which of them the view shows in which
// order. A task is replaced only by a later version of itself, whatever the order in which
// responses and events arrive.

/** How many of the last changes are kept for pages that were read before them. */
const MAX_RECENT = 2000;

/**
 * A task as the API has it. A draft, which the server does not have yet, has a text as id
 * and version 0.
 * @typedef {{id: number|string, title: string, priority: number, done: boolean, created_at: string, version: number}} Task
 */

/**
 * What the view selects.
 * @typedef {{done: boolean|null, text: string, sort: string}} View
 */

/** @type {Record<string, (a: Task, b: Task) => number>} */
const ORDERS = {
  'id': (a, b) => compareID(a, b),
  '-id': (a, b) => compareID(b, a),
  'priority': (a, b) => a.priority - b.priority || compareID(a, b),
  '-priority': (a, b) => b.priority - a.priority || compareID(a, b),
};

/** Compares ids; a draft gets a larger one than every task. */
function compareID(a, b) {
  const x = typeof a.id === 'number' ? a.id : Infinity;
  const y = typeof b.id === 'number' ? b.id : Infinity;
  if (x !== y) return x < y ? -1 : 1;
  return x === Infinity ? String(a.id).localeCompare(String(b.id), 'en', { numeric: true }) : 0;
}

export class TaskList {
  /** @type {Map<number|string, Task>} */
  #tasks = new Map();
  /** The last changes; of a deleted task without the task. @type {Map<number, {version: number, task: Task|null}>} */
  #recent = new Map();
  /** The last task of the last page that was read, as it was then; null when all were read. */
  #horizon = null;
  /** Whether every task of the server is known. Then other views need no request. */
  #whole = false;

  /** The ids that the view shows, in order. @type {(number|string)[]} */
  order = [];

  /** @param {View} view */
  constructor(view) {
    this.view = view;
  }

  /** Whether the view is shown to its end. */
  get complete() {
    return this.#horizon === null;
  }

  /** Whether every task of the server is known. */
  get whole() {
    return this.#whole;
  }

  /**
   * Returns a task of the view, or one that changed a moment ago; undefined if it was
   * deleted, or is not known.
   * @returns {Task|undefined}
   */
  get(id) {
    return this.#tasks.get(id) ?? this.#recent.get(id)?.task ?? undefined;
  }

  /** Whether the view shows a task. @param {number|string} id */
  isShown(id) {
    const task = this.#tasks.get(id);
    return task !== undefined && this.#shows(task);
  }

  /**
   * Replaces the view and its tasks by what was read from the server.
   * @param {View} view
   * @param {Task[]} tasks in order
   * @param {boolean} more whether a further page exists
   */
  replace(view, tasks, more) {
    const drafts = [...this.#tasks.values()].filter(isDraft);
    this.view = view;
    this.#tasks.clear();
    for (const draft of drafts) this.#tasks.set(draft.id, draft);
    this.#whole = false;
    this.#readPage(tasks, more);
  }

  /**
   * Forgets the last changes. After the server lost its log, versions may be lower than
   * those that were seen.
   */
  forgetChanges() {
    this.#recent.clear();
  }

  /**
   * Adds the next page of the view.
   * @param {Task[]} tasks in order
   * @param {boolean} more whether a further page exists
   */
  append(tasks, more) {
    this.#readPage(tasks, more);
  }

  #readPage(tasks, more) {
    this.#horizon = more && tasks.length > 0 ? tasks.at(-1) : null;
    this.#whole = this.complete && this.view.done === null && this.view.text === '';
    for (const task of tasks) {
      const recent = this.#recent.get(task.id);
      const known = this.#tasks.get(task.id);
      let newest = recent && recent.version >= task.version ? recent.task : task;
      if (newest && known && known.version > newest.version) newest = known;
      if (newest) this.#tasks.set(task.id, newest);
    }
    // A change that the page does not have yet may have brought a task into its range.
    for (const { task } of this.#recent.values()) {
      if (task && this.#holds(task) && !(this.#tasks.get(task.id)?.version >= task.version)) this.#tasks.set(task.id, task);
    }
    this.#rebuild();
  }

  /**
   * Shows another view of the tasks, which must be whole.
   * @param {View} view without a text
   */
  show(view) {
    this.view = view;
    this.#rebuild();
  }

  /** Sorts the view anew, and forgets tasks that it can never show. */
  #rebuild() {
    const shown = [];
    for (const task of this.#tasks.values()) {
      if (this.#shows(task)) shown.push(task);
      else if (!this.#whole) this.#tasks.delete(task.id);
    }
    shown.sort(ORDERS[this.view.sort]);
    this.order = shown.map((task) => task.id);
  }

  /**
   * Takes a newer state of a task, from an event or a response.
   * @param {Task} task
   * @returns {boolean} whether it is newer than what was known
   */
  put(task) {
    const known = this.#tasks.get(task.id);
    const recent = this.#recent.get(task.id);
    if (recent && recent.version >= task.version) return false;
    this.#remember(task.id, task.version, task);
    if (known && known.version >= task.version) return false;
    this.#unlist(known);
    if (this.#holds(task)) {
      this.#tasks.set(task.id, task);
      if (this.#shows(task)) this.#list(task);
    } else {
      this.#tasks.delete(task.id);
    }
    return true;
  }

  /**
   * Removes a task that was deleted.
   * @param {number|string} id
   * @param {number} version of the deletion; Infinity if it is not known
   * @returns {boolean} whether this is news
   */
  remove(id, version) {
    const recent = this.#recent.get(id);
    if (recent && recent.version >= version) return false;
    if (typeof id === 'number') this.#remember(id, version, null);
    const known = this.#tasks.get(id);
    this.#unlist(known);
    this.#tasks.delete(id);
    return true;
  }

  /** Adds a task that the server does not have yet. @param {Task} draft */
  addDraft(draft) {
    this.#tasks.set(draft.id, draft);
    this.#list(draft);
  }

  #remember(id, version, task) {
    this.#recent.delete(id); // so that it becomes the youngest
    this.#recent.set(id, { version, task });
    if (this.#recent.size > MAX_RECENT) this.#recent.delete(this.#recent.keys().next().value);
  }

  /** Whether the model keeps a task: within the pages that were read, or all are known. */
  #holds(task) {
    return this.#whole || this.#shows(task);
  }

  #shows(task) {
    if (isDraft(task)) return true;
    const { done, text } = this.view;
    if (done !== null && task.done !== done) return false;
    if (text !== '' && !contains(task.title, text)) return false;
    return this.complete || ORDERS[this.view.sort](task, this.#horizon) <= 0;
  }

  #list(task) {
    this.order.splice(this.#place(task), 0, task.id);
  }

  #unlist(task) {
    if (!task) return;
    const place = this.#place(task);
    if (this.order[place] === task.id) this.order.splice(place, 1);
  }

  /** Returns where a task stands in the order, or would stand, by binary search. */
  #place(task) {
    const compare = ORDERS[this.view.sort];
    let low = 0;
    let high = this.order.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compare(this.#tasks.get(this.order[middle]), task) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Returns the numbers of tasks; null unless every task is known. */
  count() {
    if (!this.#whole) return null;
    let total = 0;
    let done = 0;
    for (const task of this.#tasks.values()) {
      if (isDraft(task)) continue;
      total++;
      if (task.done) done++;
    }
    return { total, open: total - done, done };
  }
}

/** @param {Task} task */
export function isDraft(task) {
  return typeof task.id !== 'number';
}

/** Whether a title contains a text, as the server compares: in NFC, without regard to case. */
function contains(title, text) {
  return title.normalize('NFC').toLowerCase().includes(text.normalize('NFC').toLowerCase());
}
