// Takes over the document that the server rendered, and connects the parts.

import { SIGNED_OUT, wakeRepetitions } from './api.js';
import { AddedToast } from './added.js';
import { Adding } from './adding.js';
import { Anchor } from './anchor.js';
import { Changes } from './changes.js';
import { Connection } from './connection.js';
import { Controls } from './controls.js';
import { Countdown } from './countdown.js';
import { Counts } from './counts.js';
import { Deletions } from './deletions.js';
import { Editor } from './editor.js';
import { nextFrame } from './frame.js';
import { Gestures } from './gestures.js';
import { HistoryPanel } from './history.js';
import { Shortcuts } from './keys.js';
import { ListView } from './listview.js';
import { connectLive } from './live.js';
import { Loader } from './loader.js';
import { Menu } from './menu.js';
import { RowFactory } from './row.js';
import { Rows } from './rows.js';
import { announceSession, isSignedOut, showSignedOut } from './session.js';
import { Statistics } from './stats.js';
import { Status } from './status.js';
import { TaskList, isDraft } from './tasks.js';
import { LEVELS, quote } from './text.js';
import { initThemeSwitch } from './themeswitch.js';
import { keepTimesFresh } from './time.js';
import { UndoStack } from './undo.js';
import { UnsavedNotice } from './unsaved.js';

/** The list is read without a live stream after this time, in ms. */
const LATE = 3000;

const find = (id) => document.getElementById(id);
const list = find('tasks');
/** What the server said about a list that it could not read. Other failures stay. */
const failure = list.dataset.loaded === 'false' ? document.querySelector('section.failure') : null;

const status = new Status(find('status'), find('notices'));
const countdown = new Countdown();
const controls = new Controls({ filters: find('filters'), sort: find('sort'), search: find('search') }, (view) => {
  loader.show(view);
});
const tasks = new TaskList(controls.view);
const rows = new Rows(list, new RowFactory(document), (id) => ({ task: tasks.get(id), unsaved: unsavedOf(id) }));
const counts = new Counts(find('filters'), tasks);
const view = new ListView({
  tasks, rows, counts, status, anchor: new Anchor(list), empty: find('empty'),
  isHidden: (id) => deletions.isHidden(id), hidden: () => deletions.hidden,
  failed: () => failure?.isConnected ?? false, drawn: () => unsavedNotice.show(),
});
const draw = (id, how) => view.draw(id, how);
const changes = new Changes({
  tasks, draw, status, countdown, saved: (id, version) => deletions.follow(id, version), gone: offerToAddAgain,
});
const deletions = new Deletions({
  tasks, draw, status, countdown, sending: (id) => changes.discard(id), restored: focusRestored,
});
const adding = new Adding(find('add'), {
  tasks, rows, draw, status, countdown, apply: applyEvent, added: (task) => addedToast.show(task),
});
const addedToast = new AddedToast({ status, rows });
const undo = new UndoStack({ tasks, changes, deletions, status });
const editor = new Editor({
  tasks, rows, changes, view, status, gone: offerToAddAgain, renamed: (id, from) => undo.remember(id, { title: from }),
});
const unsavedNotice = new UnsavedNotice({ status, rows, holders: [changes, adding, deletions] });
const loader = new Loader({ tasks, list, end: find('end'), status, countdown, loaded: showLoaded });
const historyPanel = new HistoryPanel(find('history'), {
  countdown, closed: (id) => rows.select(rows.element(id) ? id : rows.current, { focus: true }),
});
const statistics = new Statistics(find('statistics'), document.documentElement.dataset.statsUrl);

/** What a reader can do with a task. */
const actions = {
  toggle(id) {
    const done = changes.get(id)?.patch.done ?? tasks.get(id)?.done;
    if (done === undefined || isDraft(tasks.get(id))) return;
    changes.make(id, { done: !done });
    undo.remember(id, { done });
    status.announce(`${done ? 'Reopened' : 'Completed'} ${quote(tasks.get(id).title)}.`);
  },
  prioritize(id, priority) {
    const before = changes.get(id)?.patch.priority ?? tasks.get(id)?.priority;
    if (before === undefined || isDraft(tasks.get(id))) return;
    changes.make(id, { priority });
    undo.remember(id, { priority: before });
  },
  rename: (id) => editor.start(id),
  remove(id) {
    if (!tasks.get(id) || isDraft(tasks.get(id))) return;
    deletions.start(id); // an unsaved change goes on: Undo brings the task back with it
    view.drawNow();
  },
  showHistory(id) {
    const task = tasks.get(id);
    if (task && !isDraft(task)) historyPanel.open(id, task.title);
  },
};
const menu = new Menu(actions);
new Gestures({ list, rows, view, actions, openMenu });

/** Opens the menu of a row, with the priority that the row shows. */
function openMenu(id, button) {
  menu.open(id, Number(button.closest('li').dataset.priority), button);
}

function unsavedOf(id) {
  return changes.get(id) ?? deletions.get(id) ?? adding.get(id);
}

/** Moves the focus to a row that is back, once it is drawn. */
function focusRestored(id) {
  nextFrame(() => rows.select(id, { focus: true }));
}

/** Takes an event of the contract. */
function applyEvent(event) {
  if (adding.holdBack(event)) return;
  counts.apply(event);
  const { task, task_id: id } = event;
  const mine = changes.get(id) !== undefined || deletions.isHidden(id);
  const before = tasks.get(id);
  const news = event.type === 'task.deleted' ? tasks.remove(id, task.version) : tasks.put(task);
  if (news) draw(id, { moved: hasMoved(before, tasks.get(id)), remote: !mine });
  if (event.type !== 'task.deleted') changes.settle(id);
  else if (deletions.isHidden(id)) changes.discard(id); // it shall be deleted here, too
  else changes.settleDeleted(id);
  deletions.settle(id);
  editor.notice(id);
  historyPanel.apply(event);
  if (event.type === 'task.completed') statistics.refresh();
}

/** Whether a change of a task may change its place in the view. */
function hasMoved(before, after) {
  return !before || !after || before.done !== after.done || before.priority !== after.priority || before.title !== after.title;
}

/** Shows what was loaded, and settles what it answers. */
function showLoaded(again) {
  if (failure?.isConnected) {
    failure.remove();
    document.title = 'Tasks';
  }
  find('nothing-found').hidden = true; // the view says it in its own words
  changes.settleAll();
  editor.noticeCurrent();
  view.drawAll({ again });
}

/** Reads list and counts again. */
async function reload() {
  await loader.reload();
  await counts.refresh();
}

/** Keeps what was meant for a task that was deleted elsewhere. */
function offerToAddAgain(id, task, patch) {
  const title = patch.title ?? task.title;
  const toast = status.toast(`${quote(task.title)} was deleted elsewhere, so the change was not saved.`, [
    { label: 'Add it again', run: () => { toast.remove(); adding.add(title, patch.priority ?? task.priority); } },
    { label: 'Dismiss', run: () => toast.remove() },
  ]);
}

/** Runs an action for the row that has the focus. */
const onCurrent = (action) => () => {
  const id = rows.idOf(document.activeElement);
  if (id === null || tasks.get(id) === undefined) return false;
  action(id);
  return true;
};
/** As onCurrent, but Space and Enter press the button that has the focus, unless it is the check box. */
const onRow = (action) => (event) => {
  const pressed = event.key === ' ' || event.key === 'Enter';
  return pressed && !document.activeElement?.closest('.check') ? false : onCurrent(action)();
};

new Shortcuts([
  { keys: ['n'], shown: 'n', does: 'Add a task', run: () => adding.focus() },
  { keys: ['/'], shown: '/', does: 'Search', run: () => controls.focusSearch() },
  { keys: ['j', 'ArrowDown'], shown: 'j or ↓', does: 'Next task', run: (event) => moveBy(1, event) },
  { keys: ['k', 'ArrowUp'], shown: 'k or ↑', does: 'Previous task', run: (event) => moveBy(-1, event) },
  { keys: ['x', ' '], shown: 'x or Space', does: 'Complete or reopen', run: onRow(actions.toggle) },
  { keys: ['e', 'Enter'], shown: 'e or Enter', does: 'Rename', run: onRow(actions.rename) },
  {
    keys: ['1', '2', '3', '4'], shown: '1 to 4', does: 'Priority: low, normal, high, urgent',
    run: (event) => onCurrent((id) => actions.prioritize(id, LEVELS[Number(event.key) - 1].value))(),
  },
  { keys: ['#', 'Delete'], shown: '# or Delete', does: 'Delete', run: onCurrent(actions.remove) },
  { keys: ['u'], shown: 'u', does: 'Undo the last change', run: () => undo.undo() },
  { keys: ['h'], shown: 'h', does: 'History', run: onCurrent(actions.showHistory) },
  { keys: ['Escape'], shown: 'Esc', does: 'Back: close, clear the search, leave the list', run: goBack },
], find('help'));

/** Moves the focus by rows. Outside of the list the arrows scroll the page. */
function moveBy(step, event) {
  if (event.key.startsWith('Arrow') && !list.contains(document.activeElement)) return false;
  rows.move(step);
  return true;
}

function goBack() {
  const account = find('account');
  if (account?.open) {
    const inside = account.contains(document.activeElement) || document.activeElement === document.body;
    account.open = false;
    if (inside) {
      account.querySelector('summary').focus();
      return undefined;
    }
  }
  if (historyPanel.isOpen) return historyPanel.close();
  if (document.activeElement === find('search').elements.namedItem('q')) {
    if (!controls.clearSearch()) rows.move(0);
    return undefined;
  }
  if (controls.clearSearch()) return undefined;
  if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
  return undefined;
}

initThemeSwitch(find('theme'));
statistics.makeSheet(find('show-statistics'));
keepTimesFresh(list);

// The rows that the server rendered are the first page. They are read again once the stream
// is live, so that no change falls between the two; and before that, if this takes long.
const adopted = rows.adopt();
tasks.replace(controls.view, adopted, find('next') !== null);
rows.select(rows.current ?? adopted[0]?.id ?? null);
const detailed = Number(new URLSearchParams(location.search).get('task'));
if (tasks.get(detailed)) actions.showHistory(detailed);
let synchronized = false;
setTimeout(() => { if (!synchronized) reload(); }, failure ? 0 : LATE);
const live = connectLive(new URL('worker.js', import.meta.url), {
  state(state) {
    if (state.name === 'signedout') {
      endSession();
      return;
    }
    connection.set(state);
    if (state.name === 'live' && !synchronized) {
      synchronized = true;
      reload();
    }
  },
  events: (events) => events.forEach(applyEvent),
  reset() {
    tasks.forgetChanges();
    reload();
    status.announce('The list was loaded again.');
  },
});
const connection = new Connection(find('connection'), {
  status, countdown, probe: new URL('icon.svg', import.meta.url).href, wake: () => live.wake(),
});

addEventListener(SIGNED_OUT, endSession);
announceSession(document.documentElement.dataset.session, endSession);

function hasUnsaved() {
  return unsavedNotice.needed || editor.unsafe;
}

function endSession() {
  showSignedOut(hasUnsaved());
  wakeRepetitions(); // they fail, and the typed text is kept for its user
}

addEventListener('beforeunload', (event) => {
  if (!isSignedOut() && hasUnsaved()) event.preventDefault();
});
