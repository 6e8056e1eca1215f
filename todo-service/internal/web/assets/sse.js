// The format of server-sent events (HTML standard, 9.2.6). EventSource hides the status of
// a response, which decides what a client does after 410, 429 and 503.

/** A parser of one response. It accepts pieces of text as they arrive. */
export class EventParser {
  #rest = '';
  #afterCR = false;
  #type = '';
  #data = [];
  /** The id of the event whose lines are arriving. */
  #id = null;

  /** The id of the last complete event, also of one without data; null before the first. */
  lastID = null;
  /** The reconnection time that the server asks for, in ms; null if it did not. */
  retry = null;

  /**
   * Returns the events that a piece of text completes.
   * @param {string} text
   * @returns {{id: string|null, type: string, data: string}[]}
   */
  push(text) {
    if (this.#afterCR && text.startsWith('\n')) text = text.slice(1);
    if (text !== '') this.#afterCR = text.endsWith('\r');
    const lines = (this.#rest + text).split(/\r\n|\r|\n/);
    this.#rest = lines.pop();
    const events = [];
    for (const line of lines) {
      if (line !== '') {
        this.#readField(line);
        continue;
      }
      this.lastID = this.#id; // not before: an event that is cut off must come again
      if (this.#data.length > 0) {
        events.push({ id: this.lastID, type: this.#type || 'message', data: this.#data.join('\n') });
      }
      this.#type = '';
      this.#data = [];
    }
    return events;
  }

  #readField(line) {
    const colon = line.indexOf(':');
    if (colon === 0) return; // a comment
    const name = colon < 0 ? line : line.slice(0, colon);
    let value = colon < 0 ? '' : line.slice(colon + 1);
    if (value.startsWith(' ')) value = value.slice(1);
    switch (name) {
      case 'data': this.#data.push(value); break;
      case 'event': this.#type = value; break;
      case 'id': if (!value.includes('\0')) this.#id = value; break;
      case 'retry': if (/^\d+$/.test(value)) this.retry = Number(value); break;
    }
  }
}
