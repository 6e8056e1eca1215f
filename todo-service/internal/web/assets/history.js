// The history of a task in the side panel: one sentence per change, with its time.

import { nextPage, repeat, request } from './api.js';
import { levelOf, quote } from './text.js';
import { formatAgo, keepTimesFresh, showTime } from './time.js';
import { makeButton } from './status.js';

export class HistoryPanel {
  #panel;
  #parts;
  #title;
  #list;
  #message;
  #more;
  #id = null;
  #abort = null;
  /** The last event that is shown; the next one is told against it. */
  #last = null;
  /** The live events that came while the history is read; null at other times. */
  #early = null;

  /**
   * @param {HTMLElement} panel with a heading; what the server rendered into it is replaced
   * @param {{countdown: import('./countdown.js').Countdown, closed: (id: number) => void}} parts
   */
  constructor(panel, parts) {
    this.#panel = panel;
    this.#parts = parts;
    const heading = panel.querySelector('h2');
    heading.tabIndex = -1;
    const close = document.createElement('button');
    close.type = 'button';
    close.className = 'icon-button close';
    close.setAttribute('aria-label', 'Close the history');
    close.addEventListener('click', () => this.close());
    this.#title = document.createElement('p');
    this.#title.className = 'panel-title';
    this.#title.dir = 'auto';
    this.#list = document.createElement('ol');
    this.#list.className = 'history';
    keepTimesFresh(this.#list, formatAgo);
    this.#message = document.createElement('p');
    this.#message.className = 'panel-message';
    this.#more = makeButton('Show later changes', () => {});
    this.#more.hidden = true;
    panel.replaceChildren(heading, close, this.#title, this.#message, this.#list, this.#more);
    panel.hidden = true;
    panel.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape') return;
      event.stopPropagation();
      this.close();
    });
  }

  /** Whether the panel is open. */
  get isOpen() {
    return this.#id !== null;
  }

  /**
   * Shows the history of a task.
   * @param {number} id
   * @param {string} title
   */
  open(id, title) {
    this.#id = id;
    this.#last = null;
    this.#showTitle(title);
    this.#list.replaceChildren();
    this.#more.hidden = true;
    this.#say('Loading the history.');
    this.#panel.hidden = false;
    this.#panel.querySelector('h2').focus({ preventScroll: true });
    this.#read(`/tasks/${id}/events`);
  }

  close() {
    if (this.#id === null) return;
    const id = this.#id;
    this.#abort?.abort();
    this.#parts.countdown.stop(this);
    this.#id = null;
    this.#panel.hidden = true;
    this.#parts.closed(id);
  }

  /** Adds a live event of the shown task. */
  apply(event) {
    if (event.task_id !== this.#id) return;
    this.#early?.push(event);
    if (!this.#last || event.task.version <= this.#last.task.version || !this.#more.hidden) return;
    this.#add(event);
    this.#showTitle(event.task.title);
  }

  async #read(address) {
    this.#abort?.abort();
    const abort = new AbortController();
    this.#abort = abort;
    this.#early = [];
    const { countdown } = this.#parts;
    try {
      const { body, headers } = await repeat(() => request('GET', address, { signal: abort.signal }), {
        signal: abort.signal,
        waiting: (failure, until) => countdown.start(this, until, (words) => {
          this.#say(`The history could not be loaded: ${failure.message}. ${words}`);
        }),
      });
      countdown.stop(this);
      this.#say(body.length === 0 && !this.#last ? 'No change of this task is kept.' : '');
      for (const event of body) this.#add(event);
      const next = nextPage(headers);
      this.#more.hidden = next === '';
      this.#more.onclick = () => this.#read(next);
      const early = this.#early;
      this.#early = null;
      for (const event of early) this.apply(event); // the response may be older than they are
    } catch (error) {
      if (error.name === 'AbortError') return;
      countdown.stop(this);
      this.#say(error.status === 404 ? 'No change of this task is kept.' : `The history could not be loaded: ${error.message}.`);
    }
  }

  /** Shows the title, of which the style sheet shows three lines: the tooltip has all of it. */
  #showTitle(title) {
    this.#title.textContent = title;
    this.#title.title = title;
  }

  #say(sentence) {
    this.#message.textContent = sentence;
    this.#message.hidden = sentence === '';
  }

  #add(event) {
    if (!event?.task) return;
    const item = document.createElement('li');
    const text = document.createElement('span');
    text.textContent = describeEvent(event, this.#last);
    const time = document.createElement('time');
    time.dateTime = event.timestamp;
    showTime(time, formatAgo);
    item.append(text, ' ', time);
    this.#list.append(item);
    this.#last = event;
  }
}

/**
 * Returns a sentence about an event.
 * @param {object} event
 * @param {object|null} before the event before it, if it is known
 */
function describeEvent(event, before) {
  const { task } = event;
  const details = [];
  if (before && before.task.title !== task.title) details.push(`renamed from ${quote(before.task.title)} to ${quote(task.title)}`);
  if (before && before.task.priority !== task.priority) {
    details.push(describePriorities(before.task.priority, task.priority));
  }
  switch (event.type) {
    case 'task.created': return `Added as ${quote(task.title)}, ${levelOf(task.priority)}.`;
    case 'task.completed': details.unshift('completed'); break;
    case 'task.reopened': details.unshift('reopened'); break;
    case 'task.deleted': details.unshift('deleted'); break;
    default: if (details.length === 0) details.push('changed');
  }
  const text = details.join(', ');
  return `${text[0].toUpperCase()}${text.slice(1)}.`;
}

/** Returns a change of priority in words; in numbers where both have the same word. */
function describePriorities(before, after) {
  const [from, to] = [levelOf(before), levelOf(after)];
  return from === to ? `priority changed from ${before} to ${after}` : `priority changed from ${from} to ${to}`;
}
