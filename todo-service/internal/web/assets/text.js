// Words of the page: names of priorities, quoted titles, numbers with their noun.

/** The priorities that the page names, lowest first. A level begins at its value. */
export const LEVELS = [
  { name: 'low', value: 0 },
  { name: 'normal', value: 1 },
  { name: 'high', value: 50 },
  { name: 'urgent', value: 75 },
];

/** The longest title that the API accepts, in characters. */
export const MAX_TITLE = 500;

/**
 * Returns the name of the level in which a priority is.
 * @param {number} priority from 0 to 100
 */
export function levelOf(priority) {
  return LEVELS.findLast((level) => priority >= level.value)?.name ?? LEVELS[0].name;
}

/**
 * Returns the priority that a level stands for.
 * @param {string} name of the level
 */
export function priorityOf(name) {
  return LEVELS.find((level) => level.name === name).value;
}

/**
 * Returns a title in quotation marks, shortened to 80 characters. It isolates the title's
 * direction from the sentence around it.
 * @param {string} title
 */
export function quote(title) {
  const characters = Array.from(title);
  const text = characters.length > 80 ? characters.slice(0, 79).join('') + '…' : title;
  return `“\u2068${text}\u2069”`;
}

/**
 * Returns a number with its noun: "1 change", "3 changes".
 * @param {number} count
 * @param {string} noun in the singular, with a regular plural
 */
export function count(count, noun) {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`;
}

/**
 * Returns what is wrong with a title as a sentence, or "". The API has the last word.
 * @param {string} title trimmed
 */
export function titleProblem(title) {
  const length = Array.from(title.normalize('NFC')).length;
  if (length === 0) return 'A task needs a title.';
  if (length > MAX_TITLE) return `A title has at most ${MAX_TITLE} characters; this one has ${length}.`;
  return '';
}
