// Renaming in place. Enter and leaving the field save, Escape restores. A change of the
// title elsewhere never touches the field; a line says so, and asks.

import { quote, titleProblem } from './text.js';
import { makeAnswers } from './row.js';
import { makeButton } from './status.js';

export class Editor {
  #parts;
  /** The edit that is going on. @type {{id: number, row: HTMLElement, field: HTMLTextAreaElement, note: HTMLElement,
   *   task: import('./tasks.js').Task, version: number, title: string, asked: boolean}|null} */
  #edit = null;

  /**
   * @param {{tasks: import('./tasks.js').TaskList, rows: import('./rows.js').Rows, changes: import('./changes.js').Changes,
   *   view: import('./listview.js').ListView, status: import('./status.js').Status,
   *   renamed: (id: number, from: string) => void, gone: (id: number, task: object, patch: object) => void}} parts
   */
  constructor(parts) {
    this.#parts = parts;
  }

  /** Whether a typed title would be lost if the page were left now. */
  get unsafe() {
    return this.#edit !== null && this.#edit.field.value.trim() !== this.#edit.title;
  }

  /**
   * Starts renaming a task.
   * @param {number} id
   */
  start(id) {
    if (this.#edit) this.#save();
    if (this.#edit) { // its title cannot be saved
      this.#edit.field.focus();
      return;
    }
    const { tasks, rows, changes, view } = this.#parts;
    const task = tasks.get(id);
    const row = rows.element(id);
    if (!task || !row || typeof id !== 'number') return;
    const title = changes.get(id)?.patch.title ?? task.title;
    const field = document.createElement('textarea');
    field.className = 'title-field';
    field.rows = 1;
    field.dir = 'auto';
    field.value = title;
    field.setAttribute('aria-label', 'Title');
    field.autocomplete = 'off';
    field.enterKeyHint = 'done';
    const note = document.createElement('p');
    note.className = 'note edit-note';
    note.addEventListener('focusout', (event) => {
      if (!(event.relatedTarget instanceof Node && row.contains(event.relatedTarget))) this.#leave();
    });
    this.#edit = { id, row, field, note, task, version: task.version, title, asked: false };
    view.hold('editing');
    rows.select(id);
    row.classList.add('editing');
    row.querySelector('.title').after(field);
    field.addEventListener('keydown', (event) => this.#press(event));
    field.addEventListener('input', () => {
      if (/[\r\n]/.test(field.value)) field.value = field.value.replace(/\s*[\r\n]+\s*/g, ' '); // pasted lines
      fit(field);
    });
    field.addEventListener('blur', (event) => {
      if (!(event.relatedTarget instanceof Node && note.contains(event.relatedTarget))) this.#leave();
    });
    field.focus();
    field.select();
    fit(field);
  }

  /** Takes note of a newer state of a task, or of its deletion. @param {number} id */
  notice(id) {
    const edit = this.#edit;
    if (edit?.id !== id) return;
    const task = this.#parts.tasks.get(id);
    if (!task) {
      this.#ask('Deleted elsewhere meanwhile. Press Enter to keep the title and add it again.', []);
    } else if (task.title === edit.title || task.title === edit.field.value.trim()) {
      edit.version = task.version; // another field changed; nothing is in the way
      if (edit.asked) this.#withdrawQuestion();
    } else {
      this.#ask(`Changed meanwhile to ${quote(task.title)}.`, [
        makeButton('Keep mine', () => this.#save({ refocus: true, mine: true })),
        makeButton('Take theirs', () => this.#close(true)),
      ]);
    }
  }

  /** Takes note that the renamed task may have a newer state. */
  noticeCurrent() {
    if (this.#edit) this.notice(this.#edit.id);
  }

  #press(event) {
    if (event.isComposing) return;
    if (event.key === 'Enter') {
      event.preventDefault();
      event.stopPropagation();
      this.#save({ refocus: true });
    } else if (event.key === 'Escape') {
      event.preventDefault();
      event.stopPropagation();
      this.#close(true);
    }
  }

  /** The focus left the field: what was typed is saved, or kept as a question. */
  #leave() {
    const edit = this.#edit;
    if (!edit) return;
    if (!edit.asked || !this.#parts.tasks.get(edit.id)) {
      this.#save();
      return;
    }
    const title = edit.field.value.trim().normalize('NFC');
    this.#close();
    if (title !== edit.title) this.#parts.changes.ask(edit.id, { title }, edit.version);
  }

  /**
   * Saves what was typed, and ends the edit.
   * @param {{refocus?: boolean, mine?: boolean}} [how] refocus moves the focus to the row;
   *   mine says that the typed title shall be, whatever the present one is
   */
  #save({ refocus = false, mine = false } = {}) {
    const { id, field, asked, task: known, title: before } = this.#edit;
    const title = field.value.trim().normalize('NFC'); // as the server keeps it
    const task = this.#parts.tasks.get(id);
    if (task && title !== before && titleProblem(title)) {
      if (!refocus && title === '') this.#close(); // an emptied field that was left: the title stays
      else this.#ask(titleProblem(title), []);
      return;
    }
    // Enter below the question is an answer: mine.
    const base = task && (asked || mine) ? task.version : this.#edit.version;
    this.#close(refocus);
    if (title === before && !mine) return;
    if (!task) {
      this.#parts.gone(id, known, { title });
      return;
    }
    this.#parts.changes.make(id, { title }, base);
    this.#parts.renamed(id, before);
  }

  #ask(sentence, buttons) {
    const { row, note, field } = this.#edit;
    const known = note.firstChild?.textContent;
    this.#edit.asked = buttons.length > 0;
    const text = document.createElement('span');
    text.dir = 'auto';
    text.textContent = sentence;
    if (note.contains(document.activeElement)) field.focus(); // a button that goes would end the edit
    note.replaceChildren(text, makeAnswers(...buttons));
    if (!note.isConnected) row.append(note);
    field.setAttribute('aria-invalid', String(buttons.length === 0));
    if (known !== sentence) this.#parts.status.announce(sentence);
  }

  /** Takes the question back: the present title is no longer in the way. */
  #withdrawQuestion() {
    const { note, field } = this.#edit;
    this.#edit.asked = false;
    if (note.contains(document.activeElement)) field.focus();
    note.replaceChildren();
    note.remove();
  }

  #close(refocus = false) {
    const { id, row, field, note } = this.#edit;
    this.#edit = null; // before the field goes, which blurs it
    row.classList.remove('editing');
    const { rows, view } = this.#parts;
    if (refocus) rows.select(id, { focus: true });
    field.remove();
    note.remove();
    view.release('editing');
  }
}

/** Makes a field as high as its text, where the style sheet cannot. */
function fit(field) {
  if (CSS.supports('field-sizing', 'content')) return;
  field.style.height = 'auto';
  field.style.height = `${field.scrollHeight}px`;
}
