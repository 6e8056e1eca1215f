// Keyboard shortcuts, and the dialog that lists them. None has Ctrl, Alt or Meta, and none
// works while a text is typed.

/**
 * @typedef {{keys: string[], shown: string, does: string, run: (event: KeyboardEvent) => boolean|void}} Shortcut
 *   keys as KeyboardEvent.key; run returns false if it has nothing to do, and the browser
 *   then does what it does
 */

export class Shortcuts {
  #byKey = new Map();
  #dialog;

  /**
   * @param {Shortcut[]} shortcuts
   * @param {HTMLButtonElement} button opens the dialog
   */
  constructor(shortcuts, button) {
    const help = { keys: ['?'], shown: '?', does: 'Show this list', run: () => this.#show() };
    const all = [...shortcuts, help];
    for (const shortcut of all) {
      for (const key of shortcut.keys) this.#byKey.set(key, shortcut);
    }
    this.#dialog = makeDialog(all);
    document.body.append(this.#dialog);
    button.addEventListener('click', () => this.#show());
    button.hidden = false;
    document.addEventListener('keydown', (event) => this.#press(event));
  }

  #show() {
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  #press(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing || event.defaultPrevented) return;
    if (!this.#dialog.isConnected) return; // signed out
    if (this.#dialog.open || (event.key !== 'Escape' && isTyping(event.target))) return;
    if (event.target instanceof Element && event.target.closest('[role=menu]')) return;
    const shortcut = this.#byKey.get(event.key) ?? this.#byKey.get(event.key.toLowerCase());
    if (!shortcut || (event.repeat && !['j', 'k', 'ArrowDown', 'ArrowUp'].includes(event.key))) return;
    if (shortcut.run(event) !== false) event.preventDefault();
  }
}

/** Whether keys go into a text or a choice. */
function isTyping(target) {
  return target instanceof Element && target.closest('input, textarea, select, [contenteditable]') !== null;
}

function makeDialog(shortcuts) {
  const dialog = document.createElement('dialog');
  dialog.className = 'dialog';
  dialog.setAttribute('aria-labelledby', 'shortcuts-heading');
  const heading = document.createElement('h2');
  heading.id = 'shortcuts-heading';
  heading.textContent = 'Keyboard shortcuts';
  const list = document.createElement('dl');
  for (const { shown, does } of shortcuts) {
    const keys = document.createElement('dt');
    for (const [index, part] of shown.split(' ').entries()) {
      if (index > 0) keys.append(' ');
      const element = document.createElement(['or', 'to'].includes(part) ? 'span' : 'kbd');
      element.textContent = part;
      keys.append(element);
    }
    const meaning = document.createElement('dd');
    meaning.textContent = does;
    list.append(keys, meaning);
  }
  const form = document.createElement('form');
  form.method = 'dialog';
  const close = document.createElement('button');
  close.className = 'plain-button';
  close.textContent = 'Close';
  form.append(close);
  dialog.append(heading, list, form);
  dialog.addEventListener('click', (event) => { if (event.target === dialog) dialog.close(); });
  return dialog;
}
