// One row of the list: its elements, and how they show a task and what is unsaved of it.

import { levelOf } from './text.js';
import { showTime } from './time.js';
import { makeButton } from './status.js';

/**
 * What is unsaved of a task.
 * @typedef {{patch: {title?: string, priority?: number, done?: boolean}, state: string, sentence: string,
 *   actions: {label: string, run: () => void}[]}} Unsaved
 */

/** Makes rows from the document's templates. */
export class RowFactory {
  #row;
  #tools;

  /** @param {Document} document with the templates "row-template" and "tools-template" */
  constructor(document) {
    this.#tools = document.getElementById('tools-template').content.firstElementChild;
    for (const button of this.#tools.children) makeSilent(button);
    this.#row = document.getElementById('row-template').content.firstElementChild;
    this.complete(this.#row);
  }

  /** Returns a new row. @returns {HTMLLIElement} */
  create() {
    return this.#row.cloneNode(true);
  }

  /**
   * Completes a row that the server rendered, with what only a script can do.
   * @param {HTMLLIElement} row
   */
  complete(row) {
    row.setAttribute('role', 'listitem'); // its parent is a group, not the list
    for (let last = row.lastElementChild; last.localName !== 'time'; last = row.lastElementChild) last.remove();
    makeSilent(row.firstElementChild);
    showTime(row.lastElementChild);
    row.append(this.#tools.cloneNode(true));
  }
}

/** Makes a button one that submits no form. The row is one tab stop, so no button is. */
function makeSilent(button) {
  button.type = 'button';
  if (button.tabIndex !== 0 || !button.hasAttribute('tabindex')) button.tabIndex = -1; // but the current row's
}

/**
 * Returns the task that a row of the server shows.
 * @param {HTMLLIElement} row
 */
export function readTask(row) {
  const { id, version, priority, done, created } = row.dataset;
  return {
    id: Number(id),
    version: Number(version),
    priority: Number(priority),
    done: done === 'true',
    created_at: created,
    title: row.querySelector('.title').textContent,
  };
}

/**
 * Shows a task in a row, with what is unsaved over it. What did not change is left alone.
 * @param {HTMLLIElement} row
 * @param {import('./tasks.js').Task} task
 * @param {Unsaved|undefined} unsaved
 */
export function showTask(row, task, unsaved) {
  const shown = { ...task, ...unsaved?.patch };
  const data = {
    id: String(task.id), version: String(task.version), priority: String(shown.priority),
    done: String(shown.done), created: task.created_at,
  };
  for (const [name, value] of Object.entries(data)) {
    if (row.dataset[name] !== value) row.dataset[name] = value;
  }
  const title = row.querySelector('.title');
  if (title.id !== `title-${task.id}`) {
    title.id = `title-${task.id}`;
    row.querySelector('.check').setAttribute('aria-labelledby', title.id);
  }
  setText(title, shown.title);
  const level = levelOf(shown.priority);
  const priority = row.querySelector('.priority');
  setText(priority, level);
  if (priority.dataset.level !== level) priority.dataset.level = level;
  const check = row.querySelector('.check');
  if (check.getAttribute('aria-checked') !== data.done) check.setAttribute('aria-checked', data.done);
  const time = row.querySelector('time');
  if (time.dateTime !== task.created_at) {
    time.dateTime = task.created_at;
    delete time.dataset.exact;
    showTime(time);
  }
  showUnsaved(row, unsaved);
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Shows the state of what is unsaved, and its sentence with the ways out. */
function showUnsaved(row, unsaved) {
  if (row.dataset.state !== unsaved?.state) {
    if (unsaved) row.dataset.state = unsaved.state;
    else delete row.dataset.state;
  }
  let note = row.querySelector(':scope > .note');
  if (!unsaved?.sentence) {
    note?.remove();
    return;
  }
  if (!note) {
    note = document.createElement('p');
    note.className = 'note';
    const text = document.createElement('span');
    text.dir = 'auto';
    note.append(text, makeAnswers());
    row.append(note);
  }
  setText(note.firstChild, unsaved.sentence);
  const labels = unsaved.actions.map((action) => action.label).join();
  if (note.dataset.actions === labels) return; // the buttons may have the focus
  note.dataset.actions = labels;
  note.lastChild.replaceChildren(...unsaved.actions.map((action) => makeButton(action.label, action.run)));
}

/**
 * Returns the holder of a note's buttons: they wrap to the next line together.
 * @param {...HTMLButtonElement} buttons
 */
export function makeAnswers(...buttons) {
  const answers = document.createElement('span');
  answers.className = 'answers';
  answers.append(...buttons);
  return answers;
}

/**
 * Marks a row that changed elsewhere: a tint that fades in 2 s. The mark is taken away
 * when its animation ends.
 * @param {HTMLLIElement} row
 */
export function markChanged(row) {
  row.classList.remove('changed');
  if (row.checkVisibility?.({ contentVisibilityAuto: true }) === false) return; // out of sight
  void row.offsetWidth; // so that the animation starts again
  row.classList.add('changed');
}
