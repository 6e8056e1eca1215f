// Rows stand in groups of some sixteen, so that the browser skips whole groups out of sight:
// the cost of a frame then depends on the window, not on the length of the list. For
// assistive technology a group is not there.

/**
 * A group that is made anew has this many rows. A frame that shows a group lays out and
 * paints all of its rows; each group costs a check of its place in every frame.
 */
const SIZE = 16;
/** A group with more rows is divided. */
const MAX_SIZE = 2 * SIZE;

export class Groups {
  #list;
  /** The number of rows by group. @type {Map<HTMLElement, number>} */
  #sizes = new Map();
  #changed = new Set();

  /** @param {HTMLUListElement} list */
  constructor(list) {
    this.#list = list;
  }

  /** Puts the rows that the server rendered into groups, and returns them in order. */
  adopt() {
    const rows = [...this.#list.children];
    this.#list.replaceChildren();
    for (let start = 0; start < rows.length; start += SIZE) {
      const part = rows.slice(start, start + SIZE);
      this.#makeGroup(null).append(...part);
      this.#count(part[0].parentElement, part.length);
    }
    this.settle();
    return rows;
  }

  /** The first row, or null. @returns {HTMLLIElement|null} */
  get first() {
    return this.#list.firstElementChild?.firstElementChild ?? null;
  }

  /**
   * Puts a row before another one.
   * @param {HTMLLIElement} row
   * @param {HTMLLIElement|null} next null puts the row at the end
   */
  insert(row, next) {
    if (row.parentElement) this.remove(row);
    let group = next?.parentElement ?? this.#list.lastElementChild;
    if (!group || (!next && this.#sizes.get(group) >= SIZE)) group = this.#makeGroup(null);
    group.insertBefore(row, next);
    this.#count(group, 1);
    if (this.#sizes.get(group) > MAX_SIZE) this.#divide(group);
  }

  /** Removes a row. @param {HTMLLIElement} row */
  remove(row) {
    const group = row.parentElement;
    row.remove();
    if (!group) return;
    this.#count(group, -1);
    if (this.#sizes.get(group) > 0) return;
    group.remove();
    this.#sizes.delete(group);
    this.#changed.delete(group);
  }

  /** Tells the browser the estimated height of groups that changed. */
  settle() {
    for (const group of this.#changed) group.style.setProperty('--rows', String(this.#sizes.get(group)));
    this.#changed.clear();
  }

  #divide(group) {
    const half = [...group.children].slice(SIZE);
    this.#makeGroup(group.nextElementSibling).append(...half);
    this.#count(group, -half.length);
    this.#count(half[0].parentElement, half.length);
  }

  #makeGroup(next) {
    const group = document.createElement('div');
    group.className = 'group';
    group.setAttribute('role', 'presentation');
    this.#sizes.set(group, 0);
    this.#list.insertBefore(group, next);
    return group;
  }

  #count(group, step) {
    this.#sizes.set(group, this.#sizes.get(group) + step);
    this.#changed.add(group);
  }
}

/**
 * Returns the row after a row, or null.
 * @param {HTMLLIElement} row
 * @returns {HTMLLIElement|null}
 */
export function nextRow(row) {
  return row.nextElementSibling ?? row.parentElement?.nextElementSibling?.firstElementChild ?? null;
}
