// What must happen before the first paint: this is the only script that blocks it. A
// module runs after the document was parsed, too late to prevent a flash.
(() => {
  const root = document.documentElement;

  // The word of the theme is all that the page stores beyond the tab.
  let theme = null;
  try {
    theme = localStorage.getItem('theme');
  } catch {
    // The browser keeps no storage for this page; the system's colours are used.
  }
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;

  // With this mark the style sheets show what needs the script, and hide what replaces it.
  root.dataset.script = 'on';

  // If a part of the script cannot be loaded, the page has its forms, and is loaded again
  // when the network is back, unless something was typed.
  addEventListener('error', (event) => {
    if (event.target.localName !== 'script') return;
    delete root.dataset.script;
    addEventListener('online', () => {
      if (!document.getElementById('new-title')?.value) location.reload();
    });
  }, true);
})();
