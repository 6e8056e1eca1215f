// Requests to the API of this server. A response that is no success becomes a RequestError
// with a sentence for the reader. Temporary failures are repeated by repeat.

import { isSignedOut } from './session.js';

/** The first pause before a repetition, in ms; it doubles up to MAX_PAUSE. */
const FIRST_PAUSE = 1000;
const MAX_PAUSE = 30_000;

/** A request without a useful response. */
export class RequestError extends Error {
  /**
   * @param {number} status of HTTP; 0 when no response arrived
   * @param {string} sentence what happened, for the reader, without a final full stop
   * @param {number} [wait] ms that the server wants the client to wait
   */
  constructor(status, sentence, wait) {
    super(sentence);
    this.status = status;
    this.wait = wait;
  }

  /** Whether the same request may succeed later. */
  get temporary() {
    return [0, 408, 425, 429, 502, 503, 504].includes(this.status);
  }
}

/** The longest jitter of a wait that the server asks for, in ms. */
const MAX_JITTER = 5000;

/** Wakes the repetitions that wait for the network or a busy server. */
const wakers = new Set();

/** The time before which the server accepts no request of this client, in ms. */
let limitedUntil = 0;

/** The event of the window that the session has ended. */
export const SIGNED_OUT = 'signedout';

/** Repeats at once what waits, except for a rate limit: the connection is back. */
export function wakeRepetitions() {
  for (const wake of [...wakers]) wake();
}

/**
 * Sends a request and returns its response with the body decoded from JSON.
 * @param {string} method
 * @param {string} path
 * @param {{body?: object, version?: number, key?: string, signal?: AbortSignal, keepalive?: boolean}} [options]
 *   version is the expected one (If-Match); key is the Idempotency-Key
 * @returns {Promise<{status: number, body: any, headers: Headers}>}
 * @throws {RequestError} or an AbortError
 */
export async function request(method, path, options = {}) {
  const headers = { Accept: 'application/json' };
  if (options.body) headers['Content-Type'] = method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
  if (options.version) headers['If-Match'] = `"${options.version}"`;
  if (options.key) headers['Idempotency-Key'] = `"${options.key}"`;
  // The cookie may be that of another user meanwhile.
  if (isSignedOut()) throw new RequestError(401, sentenceOf(401, {}));
  let response;
  let text;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: options.body && JSON.stringify(options.body),
      signal: options.signal,
      keepalive: options.keepalive,
      credentials: 'same-origin',
      cache: 'no-store', // the browser keeps no task on disk
    });
    text = await response.text();
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new RequestError(0, navigator.onLine ? 'the server cannot be reached' : 'this device is offline');
  }
  if (response.status === 401) dispatchEvent(new Event(SIGNED_OUT));
  if (!response.ok) throw problemOf(response, text);
  if (text === '') return { status: response.status, body: null, headers: response.headers };
  try {
    return { status: response.status, body: JSON.parse(text), headers: response.headers };
  } catch {
    throw new RequestError(502, 'the response cannot be read');
  }
}

/**
 * Returns the RequestError of a response that is no success.
 * @param {Response} response
 * @param {string} text its body
 */
function problemOf(response, text) {
  let problem = {};
  try {
    problem = JSON.parse(text) ?? {};
  } catch {
    // A proxy answers with HTML; the status says enough.
  }
  return new RequestError(response.status, sentenceOf(response.status, problem), readRetryAfter(response.headers));
}

/**
 * Returns a sentence about a status, without a final full stop.
 * @param {number} status
 * @param {{error?: string, detail?: string}} problem
 */
function sentenceOf(status, problem) {
  switch (status) {
    case 401: return 'you are signed out';
    case 403: return 'you may not do this';
    case 404: return 'the task was deleted elsewhere';
    case 408: case 504: return 'the server took too long';
    case 412: return 'the task was changed meanwhile';
    case 429: return 'too many requests';
    case 500: return 'the server has a fault';
    case 502: case 503: return 'the server is busy';
  }
  return typeof problem.error === 'string' && problem.error ? problem.error : `the server answered ${status}`;
}

/**
 * Returns the wait that a response asks for, in ms and with jitter, or undefined. Its
 * header has seconds or a date.
 * @param {Headers} headers
 */
export function readRetryAfter(headers) {
  const value = headers.get('Retry-After');
  if (!value) return undefined;
  const wait = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return wait >= 0 ? addJitter(Math.min(wait, 3_600_000)) : undefined;
}

/**
 * Returns a wait with up to a quarter more: clients that were told to wait together do not
 * come back together, and none comes back early.
 * @param {number} wait in ms
 */
function addJitter(wait) {
  return wait + Math.random() * Math.min(wait / 4, MAX_JITTER);
}

/**
 * Returns the pause before a repetition, in ms, with jitter: clients that failed together
 * do not come back together.
 * @param {number} repetition 0 for the first
 * @param {number} [longest]
 */
export function pauseBefore(repetition, longest = MAX_PAUSE) {
  return Math.min(FIRST_PAUSE * 2 ** repetition, longest) * (0.5 + Math.random() / 2);
}

/**
 * Sends a request again until it succeeds or its failure is permanent.
 * @template T
 * @param {() => Promise<T>} attempt
 * @param {{signal?: AbortSignal, waiting: (failure: RequestError, until: number) => void}} options
 *   waiting is called before each pause with the time of the next attempt, in ms
 * @returns {Promise<T>}
 */
export async function repeat(attempt, { signal, waiting }) {
  for (let repetition = 0; ; repetition++) {
    while (Date.now() < limitedUntil) {
      waiting(new RequestError(429, sentenceOf(429, {})), limitedUntil);
      await pause(limitedUntil - Date.now(), signal, false);
    }
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof RequestError) || !error.temporary) throw error;
      const until = Date.now() + Math.max(error.wait ?? 0, error.status === 429 ? addJitter(1000) : pauseBefore(repetition));
      if (error.status === 429) limitedUntil = Math.max(limitedUntil, until);
      waiting(error, until);
      await pause(until - Date.now(), signal, error.status !== 429);
    }
  }
}

/**
 * Waits, at most until the connection is back if wakeable.
 * @param {number} ms
 * @param {AbortSignal} [signal] rejects the wait
 * @param {boolean} wakeable
 */
function pause(ms, signal, wakeable) {
  return new Promise((resolve, reject) => {
    const end = (settle) => {
      clearTimeout(timer);
      wakers.delete(finish);
      signal?.removeEventListener('abort', abort);
      settle();
    };
    const finish = () => end(resolve);
    const abort = () => end(() => reject(signal.reason));
    const timer = setTimeout(finish, Math.max(ms, 0));
    if (wakeable) wakers.add(finish);
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort);
  });
}

/** Returns a random Idempotency-Key. randomUUID needs HTTPS; this does not. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/**
 * Returns the address of the next page that a response links to, or "".
 * @param {Headers} headers
 */
export function nextPage(headers) {
  return /<([^>]*)>\s*;\s*rel="next"/.exec(headers.get('Link') ?? '')?.[1] ?? '';
}
