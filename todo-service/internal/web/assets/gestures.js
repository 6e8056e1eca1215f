// Pointer, touch and focus in the list. One listener serves all rows.

export class Gestures {
  #list;
  #rows;
  #actions;
  #openMenu;

  /**
   * @param {{list: HTMLUListElement, rows: import('./rows.js').Rows, view: import('./listview.js').ListView,
   *   actions: Record<string, (id: number) => void>, openMenu: (id: number, button: HTMLButtonElement) => void}} parts
   */
  constructor({ list, rows, view, actions, openMenu }) {
    this.#list = list;
    this.#rows = rows;
    this.#actions = actions;
    this.#openMenu = openMenu;
    list.addEventListener('click', (event) => this.#click(event));
    list.addEventListener('focusin', (event) => {
      const id = rows.idOf(event.target);
      if (id !== null) rows.select(id);
    });
    list.addEventListener('keydown', (event) => this.#press(event));
    // The list holds still from the press to after the click, which then meets its target.
    list.addEventListener('pointerdown', () => view.hold('pointer'));
    const release = () => setTimeout(() => view.release('pointer'), 0);
    for (const type of ['pointerup', 'pointercancel', 'blur', 'dragend', 'contextmenu']) addEventListener(type, release);
  }

  #click(event) {
    const id = this.#rows.idOf(event.target);
    if (id === null) return;
    const button = event.target.closest('button, a, textarea, .note');
    if (button?.matches('button')) event.preventDefault(); // a row that is not completed yet would send its form
    if (!button) {
      if (getSelection().isCollapsed && !event.target.closest('li').classList.contains('editing')) this.#actions.toggle(id);
    } else if (button.matches('.check')) {
      this.#actions.toggle(id);
    } else if (button.matches('.rename')) {
      this.#actions.rename(id);
    } else if (button.matches('.history')) {
      this.#actions.showHistory(id);
    } else if (button.matches('.delete')) {
      this.#actions.remove(id);
    } else if (button.matches('.more')) {
      this.#openMenu(id, button);
    }
  }

  /** Left and Right move between the buttons of a row, whose tab stop is its check box. */
  #press(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step || event.ctrlKey || event.altKey || event.metaKey || event.target.matches('textarea')) return;
    const row = event.target.closest('li');
    const buttons = [...row.querySelectorAll('button')].filter((button) => button.offsetParent !== null);
    const forward = getComputedStyle(this.#list).direction === 'rtl' ? -step : step;
    const place = buttons.indexOf(event.target) + forward;
    if (place < 0 || place >= buttons.length) return;
    buttons[place].focus();
    event.preventDefault();
  }
}
