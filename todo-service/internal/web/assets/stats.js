// The statistics: total, today, and the completions by day, from stats-service. When it is
// away, or answers what is none, the panel says so and the list goes on.

import { readRetryAfter } from './api.js';
import { count } from './text.js';

const DAYS = 30;
/** The statistics follow a completion after the event has passed the broker: once to twice this time, in ms. */
const LAG = 1500;
/** They are read at most once in this time, in ms. */
const PAUSE = 10_000;
/** After a failure they are read again after this time, in ms. */
const RETRY = 30_000;

const DAY = 86_400_000;

/** A report that takes longer counts as a failure, in ms. */
const TIMEOUT = 10_000;

/** The chart's size in its own units: a bar has 8, and 2 of space. */
const CHART = { width: DAYS * 10 - 2, height: 80 };

export class Statistics {
  #panel;
  #address;
  /** With sign-in the statistics are the user's own. */
  #credentials = document.documentElement.dataset.session ? 'include' : 'omit';
  #total;
  #today;
  #chart;
  #rows;
  #message;
  #body;
  #timer = 0;
  #dayTimer = 0;
  #due = Infinity;
  #last = -Infinity;
  /** The time before which the service wants no request, in ms. */
  #refusedUntil = 0;

  /**
   * @param {HTMLElement} panel with a heading
   * @param {string} url of stats-service, "" for a page without statistics
   */
  constructor(panel, url) {
    this.#panel = panel;
    if (!url) return;
    this.#address = `${url.replace(/\/$/, '')}/stats?days=${DAYS}`;
    this.#build();
    panel.hidden = false;
    this.#schedule(0);
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden && performance.now() - this.#last > RETRY) this.#schedule(0);
    });
  }

  /**
   * Makes a button open the panel as a sheet, where it has no place beside the list.
   * @param {HTMLButtonElement} button
   */
  makeSheet(button) {
    if (!this.#address) return;
    const show = (open) => {
      this.#panel.classList.toggle('open', open);
      button.setAttribute('aria-expanded', String(open));
      if (open) this.#panel.querySelector('h2').focus({ preventScroll: true });
      else button.focus({ preventScroll: true });
    };
    const close = make('button', 'icon-button close');
    close.type = 'button';
    close.setAttribute('aria-label', 'Close the statistics');
    close.addEventListener('click', () => show(false));
    this.#panel.querySelector('h2').tabIndex = -1;
    this.#panel.querySelector('h2').after(close);
    this.#panel.addEventListener('keydown', (event) => {
      if (event.key !== 'Escape' || !this.#panel.classList.contains('open')) return;
      event.stopPropagation();
      show(false);
    });
    button.addEventListener('click', () => show(!this.#panel.classList.contains('open')));
    button.setAttribute('aria-expanded', 'false');
    button.hidden = false;
  }

  /** Reads the statistics soon: a task was completed, or a day is over. */
  refresh() {
    if (!this.#address) return;
    // The pages of all readers get the event at the same moment.
    const lag = LAG * (1 + Math.random());
    this.#schedule(Math.max(lag, this.#last + PAUSE - performance.now()));
  }

  #schedule(wait) {
    if (!this.#panel.isConnected) return; // signed out
    const now = performance.now();
    const due = Math.max(now + wait, this.#refusedUntil);
    if (due >= this.#due) return;
    this.#due = due;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.#due = Infinity;
      this.#last = performance.now();
      this.#read();
    }, due - now);
  }

  async #read() {
    let wait = RETRY;
    try {
      const response = await fetch(this.#address, {
        cache: 'no-store', credentials: this.#credentials, referrerPolicy: 'no-referrer', signal: AbortSignal.timeout(TIMEOUT),
      });
      const asked = readRetryAfter(response.headers) ?? 0;
      this.#refusedUntil = performance.now() + asked;
      wait = Math.max(asked, RETRY);
      if (!response.ok) throw new Error(`status ${response.status}`);
      const report = checkReport(await response.json());
      if (report) {
        this.#show(report);
        this.#awaitEndOf(report.days.at(-1).day);
      }
      else this.#fail('The statistics cannot be read: the answer makes no sense.', wait);
    } catch {
      this.#fail('The statistics are away. The list goes on without them.', wait);
    }
  }

  /** Reads the statistics again when a day is over: today is another one then. */
  #awaitEndOf(day) {
    clearTimeout(this.#dayTimer);
    const end = Date.parse(day) + DAY;
    const left = end - Date.now();
    // A timer stands still while the machine sleeps, so it compares the clock now and then. A clock that is ahead of
    // the service's finds the day over already.
    this.#dayTimer = setTimeout(() => {
      if (Date.now() < end) this.#awaitEndOf(day);
      else this.refresh();
    }, left > 0 ? Math.min(left, RETRY) : RETRY);
  }

  #fail(sentence, wait) {
    this.#message.textContent = `${sentence} They are tried again every ${Math.round(wait / 1000)} s.`;
    this.#body.hidden = true;
    this.#schedule(wait);
  }

  #build() {
    const heading = this.#panel.querySelector('h2');
    this.#message = make('p', 'panel-message');
    this.#message.textContent = 'Loading the statistics.';
    this.#body = make('div');
    this.#body.hidden = true;
    const numbers = make('dl', 'numbers');
    this.#today = addNumber(numbers, 'Completed today');
    this.#total = addNumber(numbers, 'Completed in all');
    this.#chart = makeSVG('svg', {
      class: 'chart', viewBox: `0 0 ${CHART.width} ${CHART.height}`, preserveAspectRatio: 'none', 'aria-hidden': 'true',
    });
    const scale = make('p', 'scale');
    scale.setAttribute('aria-hidden', 'true');
    scale.append(make('span'), make('span'), make('span'));
    const table = make('table');
    const hidden = make('div', 'visually-hidden'); // a table is never smaller than its cells
    hidden.append(table);
    const caption = make('caption');
    caption.textContent = `Completed tasks by day (UTC), the last ${DAYS} days`;
    const head = make('thead');
    head.append(makeTableRow('th', 'Day', 'Completed'));
    this.#rows = make('tbody');
    table.append(caption, head, this.#rows);
    this.#body.append(numbers, this.#chart, scale, hidden);
    this.#panel.replaceChildren(heading, this.#message, this.#body);
  }

  #show(report) {
    const remarks = [];
    if (report.rebuilding) remarks.push('The statistics are being counted again.');
    else if (!report.complete) remarks.push('The count has not caught up yet.');
    this.#message.textContent = `Days are UTC. ${remarks.join(' ')}`.trim();
    this.#body.hidden = false;
    this.#total.textContent = report.total.toLocaleString('en');
    this.#today.textContent = report.today.toLocaleString('en');
    const highest = Math.max(1, ...report.days.map((day) => day.completed));
    const step = (CHART.width + 2) / report.days.length;
    this.#chart.replaceChildren(...report.days.map((day, index) => {
      const height = Math.max(2, CHART.height * day.completed / highest);
      const bar = makeSVG('rect', {
        ...(day.completed === 0 && { class: 'none' }), x: index * step, y: CHART.height - height, width: step - 2, height, rx: 1,
      });
      const title = makeSVG('title', {});
      title.textContent = `${day.day}: ${count(day.completed, 'task')}`;
      bar.append(title);
      return bar;
    }));
    const [from, most, to] = this.#body.querySelectorAll('.scale span');
    from.textContent = shortDay(report.days[0].day);
    most.textContent = report.days.some((day) => day.completed > 0) ? `highest ${highest.toLocaleString('en')}` : '';
    to.textContent = 'today';
    this.#rows.replaceChildren(...report.days.map((day) => makeTableRow('td', day.day, String(day.completed))));
  }
}

/**
 * Returns what the page shows of a response, or null if it is not of the expected form.
 * @param {any} body
 */
function checkReport(body) {
  const isCount = (value) => Number.isSafeInteger(value) && value >= 0;
  if (!isCount(body?.completed_total) || !isCount(body.completed_today) || !Array.isArray(body.by_day)) return null;
  if (body.by_day.length === 0 || body.by_day.length > 366) return null;
  const days = [];
  for (const entry of body.by_day) {
    if (typeof entry?.day !== 'string' || !/^\d{4}-\d\d-\d\d$/.test(entry.day) || !isCount(entry.completed)) return null;
    if (Number.isNaN(Date.parse(entry.day))) return null;
    days.push({ day: entry.day, completed: entry.completed });
  }
  return {
    total: body.completed_total, today: body.completed_today, days,
    complete: body.complete !== false, rebuilding: body.rebuilding === true,
  };
}

function shortDay(day) {
  return new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(day));
}

function make(name, className = '') {
  const element = document.createElement(name);
  if (className) element.className = className;
  return element;
}

function makeSVG(name, attributes) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, String(value));
  return element;
}

function makeTableRow(cell, ...texts) {
  const row = make('tr');
  for (const text of texts) {
    const element = make(cell);
    element.textContent = text;
    if (cell === 'th') element.scope = 'col';
    row.append(element);
  }
  return row;
}

function addNumber(list, label) {
  const group = make('div');
  const name = make('dt');
  name.textContent = label;
  const value = make('dd');
  group.append(name, value);
  list.append(group);
  return value;
}
