// Scroll anchoring: a change of the list moves neither the row under the pointer nor what
// is being read. Browsers anchor by themselves only above the edge of the window, and lose
// the anchor when rows move.

import { nextFrame } from './frame.js';
import { nextRow } from './groups.js';

export class Anchor {
  #list;
  #pointer = null;
  /** Space above and below the list, in px, where the document is too short to scroll. */
  #above = 0;
  #below = 0;

  /** @param {HTMLUListElement} list */
  constructor(list) {
    this.#list = list;
    addEventListener('pointermove', (event) => {
      this.#pointer = event.pointerType === 'mouse' ? event : null;
      if (!list.contains(event.target)) this.release();
    }, { passive: true });
    addEventListener('keydown', () => { // the keyboard is used, so nothing is aimed at
      this.#pointer = null;
      this.release();
    });
    document.documentElement.addEventListener('pointerleave', () => { this.#pointer = null; });
  }

  /**
   * Makes a change of the list, and scrolls so that the anchor stays where it is.
   * @param {(row: Element) => boolean} moves whether the change moves a row itself, which
   *   makes it no anchor
   * @param {() => void} change
   */
  keep(moves, change) {
    const anchors = this.#candidates().filter((row) => !moves(row))
      .map((row) => ({ row, top: row.getBoundingClientRect().top }));
    this.#suspendBrowser();
    change();
    const anchor = anchors.find(({ row }) => row.isConnected);
    if (!anchor) return;
    const shift = anchor.row.getBoundingClientRect().top - anchor.top;
    if (Math.abs(shift) < 1) return;
    this.#scroll(shift);
  }

  /** The browser anchors while rows are measured for the first time, but not a change: that is done here. */
  #suspendBrowser() {
    const { style } = document.documentElement;
    style.overflowAnchor = 'none';
    nextFrame(() => nextFrame(() => { style.overflowAnchor = ''; }));
  }

  /** Takes back the space that was added. */
  release() {
    if (!this.#above && !this.#below) return;
    this.#above = 0;
    this.#below = 0;
    this.#apply();
  }

  #scroll(shift) {
    const room = document.documentElement.scrollHeight - innerHeight - scrollY;
    if (shift > room) this.#below += shift - room;
    if (shift < -scrollY) this.#above += -shift - scrollY;
    this.#apply();
    if (shift > 0 || scrollY > 0) scrollBy({ top: Math.max(shift, -scrollY), behavior: 'instant' });
  }

  #apply() {
    this.#list.style.paddingBlockStart = this.#above ? `${this.#above}px` : '';
    this.#list.style.marginBlockEnd = this.#below ? `${this.#below}px` : '';
  }

  /**
   * Returns the rows that may be the anchor, the best first: the row under the pointer and
   * its successors; if the page is scrolled, the first rows in the window.
   */
  #candidates() {
    const row = this.#pointer && this.#rowAt(this.#pointer.clientX, this.#pointer.clientY);
    if (row) return successors(row);
    const box = this.#list.getBoundingClientRect();
    if (scrollY === 0 || box.top > innerHeight) return [];
    const top = Math.max(box.top, stickyHeight()) + 1;
    const first = this.#rowAt(box.left + box.width / 2, top);
    return first && box.top < top - 1 ? successors(first) : [];
  }

  #rowAt(x, y) {
    const row = document.elementFromPoint(x, y)?.closest('li');
    return row && this.#list.contains(row) ? row : null;
  }
}

/** Returns a row and up to seven rows after it. */
function successors(row) {
  const rows = [];
  for (let next = row; next && rows.length < 8; next = nextRow(next)) rows.push(next);
  return rows;
}

function stickyHeight() {
  return document.querySelector('header').getBoundingClientRect().bottom;
}
