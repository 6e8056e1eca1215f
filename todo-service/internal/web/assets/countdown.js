// The seconds until something happens, in words. One timer serves all of them, and runs
// only while there is one.

export class Countdown {
  /** @type {Map<object, {until: number, show: (words: string) => void}>} */
  #running = new Map();
  #timer = 0;

  /**
   * Calls show at once and every second with "Trying again in 4 s." until the time, and
   * then with "Trying again now.".
   * @param {object} owner whose earlier countdown ends
   * @param {number} until in ms
   * @param {(words: string) => void} show
   */
  start(owner, until, show) {
    this.#running.set(owner, { until, show });
    this.#tick(owner);
    if (this.#running.size === 0) return;
    this.#timer ||= setInterval(() => {
      for (const each of [...this.#running.keys()]) this.#tick(each);
    }, 1000);
  }

  /** Ends the countdown of an owner. */
  stop(owner) {
    this.#running.delete(owner);
    if (this.#running.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = 0;
  }

  #tick(owner) {
    const { until, show } = this.#running.get(owner);
    const seconds = Math.ceil((until - Date.now()) / 1000);
    show(seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again now.');
    if (seconds <= 0) this.stop(owner);
  }
}
