// The shared worker: holds the one event stream of this browser and hands its events to
// every tab. A tab that does not answer for a while has gone, or is frozen; it is dropped,
// and loads the list again when it comes back.
//
// From a tab: hello, alive (the answer to ping), wake, bye.
// To a tab: state, events, reset, ping.

import { EventStream } from './stream.js';

const PING = 10_000;
const MAX_SILENCE = 45_000;

/** The tabs, with the time of their last message in ms. @type {Map<MessagePort, number>} */
const tabs = new Map();

const stream = new EventStream('/events', {
  state: (state) => broadcast({ type: 'state', state: describe(state) }),
  events: (events) => broadcast({ type: 'events', events }),
  reset: () => broadcast({ type: 'reset' }),
});

self.addEventListener('connect', (connection) => {
  const port = connection.ports[0];
  port.addEventListener('message', (message) => receive(port, message.data));
  port.start();
});

for (const type of ['online', 'offline']) {
  self.addEventListener(type, () => {
    if (type === 'online') stream.wake();
    broadcast({ type: 'state', state: describe(stream.state) });
  });
}

setInterval(() => {
  const now = Date.now();
  for (const [port, heard] of tabs) {
    if (now - heard > MAX_SILENCE) drop(port);
  }
  broadcast({ type: 'ping' });
}, PING);

function receive(port, message) {
  if (message.type === 'bye') {
    drop(port);
    return;
  }
  const known = tabs.has(port);
  if (!known && message.type !== 'hello') {
    port.postMessage({ type: 'dropped' }); // it was silent for too long, and missed events
    return;
  }
  tabs.set(port, Date.now());
  if (message.type === 'hello') {
    stream.start();
    port.postMessage({ type: 'state', state: describe(stream.state) });
  }
  if (message.type === 'wake') stream.wake();
}

function drop(port) {
  tabs.delete(port);
  if (tabs.size === 0) stream.stop();
}

function broadcast(message) {
  for (const port of tabs.keys()) port.postMessage(message);
}

/** Returns the state with what only the browser knows. */
function describe(state) {
  return { ...state, online: navigator.onLine };
}
