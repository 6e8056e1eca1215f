// The menu of a row: beside its button on wide screens, a sheet at the bottom of narrow
// ones (the style sheet decides). It lies in the top layer, so nothing cuts it off.

import { LEVELS, levelOf } from './text.js';

export class Menu {
  #menu;
  #button = null;
  #id = null;
  #items;

  /**
   * @param {{rename: (id: number) => void, prioritize: (id: number, priority: number) => void,
   *   showHistory: (id: number) => void, remove: (id: number) => void}} actions
   */
  constructor(actions) {
    const run = (action) => () => {
      const id = this.#id;
      this.close();
      action(id);
    };
    this.#menu = document.createElement('div');
    this.#menu.className = 'menu';
    this.#menu.setAttribute('role', 'menu');
    this.#menu.popover = 'auto';
    const group = document.createElement('div');
    group.setAttribute('role', 'group');
    group.setAttribute('aria-label', 'Priority');
    group.append(...LEVELS.map((level, index) => this.#makeItem(
      capitalize(level.name), String(index + 1), 'menuitemradio', run((id) => actions.prioritize(id, level.value)), level.name)));
    this.#menu.append(
      this.#makeItem('Rename', 'e', 'menuitem', run(actions.rename)),
      this.#makeItem('History', 'h', 'menuitem', run(actions.showHistory)),
      group,
      this.#makeItem('Delete', '#', 'menuitem', run(actions.remove)),
    );
    this.#items = [...this.#menu.querySelectorAll('button')];
    this.#menu.addEventListener('keydown', (event) => this.#press(event));
    this.#menu.addEventListener('beforetoggle', (event) => this.#bindButton(event.newState === 'open'));
    document.querySelector('main').append(this.#menu);
  }

  /**
   * Opens the menu of a task at a button, or closes it if it is open there.
   * @param {number} id
   * @param {number} priority
   * @param {HTMLButtonElement} button
   */
  open(id, priority, button) {
    const again = this.#menu.matches(':popover-open') && this.#button === button;
    this.close();
    if (again) return;
    this.#id = id;
    this.#button = button;
    for (const item of this.#items) {
      if (item.dataset.level) item.setAttribute('aria-checked', String(item.dataset.level === levelOf(priority)));
    }
    this.#menu.setAttribute('aria-labelledby', `title-${id}`);
    this.#menu.showPopover();
    this.#place(button.getBoundingClientRect());
    this.#items[0].focus({ preventScroll: true });
  }

  /**
   * Makes the button that of the menu while it is open. A press on it does not dismiss the
   * menu then, so that its click finds the menu open.
   */
  #bindButton(open) {
    this.#button.setAttribute('aria-expanded', String(open));
    this.#button.popoverTargetElement = open ? this.#menu : null;
  }

  close() {
    if (!this.#menu.matches(':popover-open')) return;
    this.#menu.hidePopover();
    this.#button?.focus({ preventScroll: true });
  }

  /** Puts the menu below its button, or above it where there is no room. */
  #place(button) {
    const { offsetWidth: width, offsetHeight: height } = this.#menu;
    const below = button.bottom + height + 8 <= innerHeight;
    this.#menu.style.setProperty('--x', `${Math.max(8, Math.min(button.right - width, innerWidth - width - 8))}px`);
    this.#menu.style.setProperty('--y', `${below ? button.bottom + 4 : Math.max(8, button.top - height - 4)}px`);
  }

  #makeItem(label, key, role, run, level) {
    const item = document.createElement('button');
    item.type = 'button';
    item.setAttribute('role', role);
    item.tabIndex = -1;
    item.className = `item-${label.toLowerCase()}`;
    if (level) item.dataset.level = level;
    const text = document.createElement('span');
    text.textContent = label;
    const hint = document.createElement('kbd');
    hint.setAttribute('aria-hidden', 'true');
    hint.textContent = key;
    item.append(text, hint);
    item.addEventListener('click', run);
    return item;
  }

  #press(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 };
    const items = this.#items;
    const place = items.indexOf(document.activeElement);
    if (event.key in steps) items[(place + steps[event.key] + items.length) % items.length].focus();
    else if (event.key === 'Home') items[0].focus();
    else if (event.key === 'End') items.at(-1).focus();
    else if (event.key === 'Escape' || event.key === 'Tab') this.close();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function capitalize(word) {
  return word[0].toUpperCase() + word.slice(1);
}
