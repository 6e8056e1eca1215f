// What selects the view: filters, sort and search. The address of the page says the same,
// so that a reload, a bookmark and Back show the same view.

/** The pause in typing after which a search is sent, in ms. */
const TYPING = 250;

/** What the filters select, by their state. */
const DONE = { total: null, open: false, done: true };

export class Controls {
  #filters;
  #sort;
  #search;
  #change;
  #timer = 0;
  #view;

  /**
   * @param {{filters: HTMLElement, sort: HTMLSelectElement, search: HTMLFormElement}} elements
   * @param {(view: import('./tasks.js').View) => void} change is called with another view
   */
  constructor({ filters, sort, search }, change) {
    this.#filters = filters;
    this.#sort = sort;
    this.#search = search.elements.namedItem('q');
    this.#change = change;
    this.#view = this.#readAddress();
    filters.addEventListener('click', (event) => {
      const link = event.target.closest('a');
      if (!link || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
      event.preventDefault();
      this.#select({ ...this.#view, text: this.#typedText, done: DONE[link.dataset.state] }, true);
    });
    sort.addEventListener('change', () => this.#select({ ...this.#view, text: this.#typedText, sort: sort.value }, true));
    sort.form.addEventListener('submit', (event) => event.preventDefault());
    this.#search.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.#searchNow(), this.#search.value === '' ? 0 : TYPING);
    });
    search.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#searchNow();
    });
    addEventListener('popstate', () => {
      this.#view = this.#readAddress();
      this.#show();
      this.#change(this.#view);
    });
  }

  /** The selected view. @returns {import('./tasks.js').View} */
  get view() {
    return this.#view;
  }

  /** Moves the focus to the search. */
  focusSearch() {
    this.#search.focus();
    this.#search.select();
  }

  /** Ends the search, if there is one. @returns {boolean} whether there was one */
  clearSearch() {
    if (this.#search.value === '') return false;
    this.#search.value = '';
    this.#searchNow();
    return true;
  }

  #searchNow() {
    clearTimeout(this.#timer);
    this.#select({ ...this.#view, text: this.#typedText }, false);
  }

  /** The text of the search, also one that was typed a moment ago and is not sent yet. */
  get #typedText() {
    return Array.from(this.#search.value).slice(0, 200).join('').trim();
  }

  /** @param {boolean} entry whether Back leads to the view before */
  #select(view, entry) {
    if (JSON.stringify(view) === JSON.stringify(this.#view)) return;
    this.#view = view;
    history[entry ? 'pushState' : 'replaceState'](null, '', this.#address(view));
    this.#show();
    this.#change(view);
  }

  #show() {
    const { done, text, sort } = this.#view;
    const state = done === null ? 'total' : done ? 'done' : 'open';
    for (const link of this.#filters.querySelectorAll('a[data-state]')) {
      if (link.dataset.state === state) link.setAttribute('aria-current', 'page');
      else link.removeAttribute('aria-current');
      link.href = this.#address({ ...this.#view, done: DONE[link.dataset.state] });
    }
    this.#sort.value = sort;
    if (this.#search.value.trim() !== text) this.#search.value = text;
  }

  #readAddress() {
    const query = new URLSearchParams(location.search);
    const done = { true: true, false: false }[query.get('done')] ?? null;
    const sorts = [...this.#sort.options].map((option) => option.value);
    const sort = sorts.includes(query.get('sort')) ? query.get('sort') : this.#sort.dataset.default;
    return { done, text: (query.get('q') ?? '').trim(), sort };
  }

  #address({ done, text, sort }) {
    const query = new URLSearchParams();
    if (done !== null) query.set('done', String(done));
    if (text !== '') query.set('q', text);
    if (sort !== this.#sort.dataset.default) query.set('sort', sort);
    return `/${query.size > 0 ? `?${query}` : ''}`;
  }
}
