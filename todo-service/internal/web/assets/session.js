// The end of the session: this tab then shows no task any more. A tab whose session is
// another one than that of the newest document is signed out, too, because its requests
// would be made with the cookie of the other one: none is made any more, also none that
// waits to be repeated.

let signedOut = false;

/** Whether the session of this tab has ended. */
export function isSignedOut() {
  return signedOut;
}

/**
 * Replaces the page by a sentence and a link for signing in.
 * @param {boolean} unsaved whether a change was not saved yet
 */
export function showSignedOut(unsaved) {
  if (signedOut) return;
  signedOut = true;
  const heading = document.createElement('h1');
  heading.textContent = 'You are signed out';
  heading.tabIndex = -1;
  const sentence = document.createElement('p');
  sentence.textContent = `The session has ended.${unsaved ? ' A change was not saved.' : ''} `;
  const link = document.createElement('a');
  link.href = location.pathname + location.search;
  link.textContent = 'Sign in';
  sentence.append(link);
  const main = document.createElement('main');
  main.className = 'narrow';
  main.append(heading, sentence);
  document.body.replaceChildren(main);
  document.title = 'You are signed out – Tasks';
  heading.focus();
}

/**
 * Tells the other tabs which session the browser has now, and listens to them.
 * @param {string|undefined} session undefined without sign-in
 * @param {() => void} ended is called when it is another one
 */
export function announceSession(session, ended) {
  if (!session) return;
  const channel = new BroadcastChannel('todo-session');
  channel.addEventListener('message', (message) => { if (message.data !== session) ended(); });
  channel.postMessage(session);
}
