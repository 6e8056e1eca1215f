// Times as the reader sees them: relative in the list, exact in the title, in the zone of
// the browser.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const exactFormat = new Intl.DateTimeFormat('en-GB', { dateStyle: 'full', timeStyle: 'medium' });
const clockFormat = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit' });
const dayFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short' });
const yearFormat = new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'short', year: 'numeric' });

/**
 * Returns the age of a time: "now", "5 min", "2 h", "3 d", or a date after a week.
 * @param {Date} time
 * @param {number} [now] in ms
 */
function formatAge(time, now = Date.now()) {
  const age = now - time.getTime();
  if (age < MINUTE) return 'now'; // also a clock that is behind the server's
  if (age < HOUR) return `${Math.floor(age / MINUTE)} min`;
  if (age < DAY) return `${Math.floor(age / HOUR)} h`;
  if (age < 7 * DAY) return `${Math.floor(age / DAY)} d`;
  return (time.getFullYear() === new Date(now).getFullYear() ? dayFormat : yearFormat).format(time);
}

/**
 * Returns the age as a phrase of a sentence: "just now", "5 min ago", "on 3 Mar".
 * @param {Date} time
 * @param {number} [now] in ms
 */
export function formatAgo(time, now = Date.now()) {
  const age = formatAge(time, now);
  if (age === 'now') return 'just now';
  return now - time.getTime() < 7 * DAY ? `${age} ago` : `on ${age}`;
}

/**
 * Returns the whole time: "Thursday 15 January 2026 at 10:00:00".
 * @param {Date} time
 */
function formatExact(time) {
  return exactFormat.format(time);
}

/**
 * Returns the time of day: "10:00".
 * @param {Date} time
 */
export function formatClock(time) {
  return clockFormat.format(time);
}

/**
 * Sets the text and the title of a <time> from its datetime attribute. An unchanged text
 * is left alone, so that nothing is painted again.
 * @param {HTMLTimeElement} element
 * @param {(time: Date, now: number) => string} [format]
 * @param {number} [now] in ms
 */
export function showTime(element, format = formatAge, now = Date.now()) {
  const time = new Date(element.dateTime);
  if (Number.isNaN(time.getTime())) return;
  const text = format(time, now);
  if (element.textContent !== text) element.textContent = text;
  if (!element.dataset.exact) {
    element.title = formatExact(time);
    element.dataset.exact = 'true';
  }
}

/** How long ages are brought up to date in one frame, in ms. */
const BUDGET = 4;

/**
 * Brings the ages below root up to date every 30 s, and when a hidden tab is shown: in
 * portions, so that a long list does not delay a frame.
 * @param {Element} root
 * @param {(time: Date, now: number) => string} [format]
 */
export function keepTimesFresh(root, format = formatAge) {
  const refresh = (elements, index, now) => {
    const end = performance.now() + BUDGET;
    while (index < elements.length && performance.now() < end) showTime(elements[index++], format, now);
    if (index < elements.length) requestAnimationFrame(() => refresh(elements, index, now));
  };
  const refreshIfSeen = () => {
    if (!document.hidden) refresh(root.querySelectorAll('time'), 0, Date.now());
  };
  setInterval(refreshIfSeen, 30_000);
  document.addEventListener('visibilitychange', refreshIfSeen);
}
