// What the page says about itself: one polite live region for announcements and toasts,
// and notices for a condition that lasts.

/** How long announcements are collected before a screen reader gets them, in ms. */
const COLLECT = 400;

export class Status {
  #region;
  #announcement;
  #notices;
  #waiting = [];
  #timer = 0;
  #lines = new Map();

  /**
   * @param {Element} region with role=status
   * @param {Element} notices holder of the lines
   */
  constructor(region, notices) {
    this.#region = region;
    this.#notices = notices;
    this.#announcement = document.createElement('p');
    this.#announcement.className = 'visually-hidden';
    region.append(this.#announcement);
  }

  /**
   * Announces a sentence to screen readers. Sentences of the same moment are announced
   * together; of more than three, the last three.
   * @param {string} sentence
   */
  announce(sentence) {
    if (this.#waiting.at(-1) !== sentence) this.#waiting.push(sentence);
    if (this.#timer) return;
    this.#timer = setTimeout(() => {
      this.#timer = 0;
      const text = this.#waiting.slice(-3).join(' ');
      // The same text again would not be announced; a space more makes it another one.
      this.#announcement.textContent = text === this.#announcement.textContent ? `${text} ` : text;
      this.#waiting = [];
    }, COLLECT);
  }

  /**
   * Shows a notice, in the place of the one with the same key. It is announced when it
   * appears, not when it changes.
   * @param {string} key
   * @param {string} sentence "" removes the line
   * @param {{label: string, run: () => void}} [action] a button in the line
   */
  notice(key, sentence, action) {
    let line = this.#lines.get(key);
    if (!sentence) {
      line?.remove();
      this.#lines.delete(key);
      return;
    }
    if (!line) {
      line = document.createElement('p');
      line.className = 'notice';
      line.dataset.notice = key;
      line.append(document.createElement('span'));
      this.#lines.set(key, line);
      this.#notices.append(line);
      if (key !== 'held') this.announce(sentence);
    }
    if (line.firstChild.textContent !== sentence) line.firstChild.textContent = sentence;
    const button = line.querySelector('button');
    if (button?.textContent !== action?.label) {
      button?.remove();
      if (action) line.append(makeButton(action.label, () => line.run()));
    }
    line.run = action?.run; // the button stays, because it may have the focus
  }

  /**
   * Shows a toast. The region announces it.
   * @param {string} sentence
   * @param {{label: string, run: () => void}[]} [actions]
   * @returns {{remove: () => void, countdown: (seconds: number) => void}}
   */
  toast(sentence, actions = []) {
    const toast = document.createElement('div');
    toast.className = 'toast';
    const text = document.createElement('p');
    text.textContent = sentence;
    toast.append(text);
    let counter = null;
    for (const action of actions) {
      const button = makeButton(action.label, action.run);
      counter = document.createElement('span');
      counter.className = 'countdown';
      counter.setAttribute('aria-hidden', 'true'); // a number per second is not announced
      button.append(counter);
      toast.append(button);
    }
    this.#region.append(toast);
    return {
      remove: () => toast.remove(),
      countdown: (seconds) => { if (counter) counter.textContent = ` (${seconds})`; },
    };
  }
}

/**
 * Returns a button of type "button".
 * @param {string} label
 * @param {() => void} run
 */
export function makeButton(label, run) {
  const button = document.createElement('button');
  button.type = 'button';
  button.className = 'text-button';
  button.textContent = label;
  button.addEventListener('click', run);
  return button;
}
