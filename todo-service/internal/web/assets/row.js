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
    this.#row = document.getElementById('row-template').content.firstElementChild;
    addTools(this.#row, this.#tools);
  }

  /** Returns a new row. @returns {HTMLLIElement} */
  create() {
    return this.#row.cloneNode(true);
  }

  /**
   * Completes a row that the server rendered, and returns the task that it shows.
   * @param {HTMLLIElement} row
   */
  adopt(row) {
    addTools(row, this.#tools);
    showTime(row.querySelector('time'));
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
}

/** Adds what only a script can do to the row. The row is one tab stop, so no button is. */
function addTools(row, tools) {
  const group = tools.cloneNode(true);
  const remove = row.querySelector('.delete');
  remove.classList.add('icon-button');
  remove.title = 'Delete (#)';
  group.insertBefore(remove, group.querySelector('.more'));
  row.append(group);
  for (const button of row.querySelectorAll('button')) {
    button.type = 'button';
    button.tabIndex = -1;
  }
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
    note.append(text);
    row.append(note);
  }
  setText(note.firstChild, unsaved.sentence);
  const labels = unsaved.actions.map((action) => action.label).join();
  if (note.dataset.actions === labels) return; // the buttons may have the focus
  note.dataset.actions = labels;
  for (const button of note.querySelectorAll('button')) button.remove();
  note.append(...unsaved.actions.map((action) => makeButton(action.label, action.run)));
}

/**
 * Marks a row that changed elsewhere: a tint that fades in 2 s.
 * @param {HTMLLIElement} row
 */
export function markChanged(row) {
  row.classList.remove('changed');
  if (row.checkVisibility?.({ contentVisibilityAuto: true }) === false) return;
  void row.offsetWidth; // so that the animation starts again
  row.classList.add('changed');
  row.addEventListener('animationend', () => row.classList.remove('changed'), { once: true });
}
