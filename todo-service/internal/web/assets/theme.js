// Sets the colours before the first paint: this is the only script that blocks it. A
// module runs after the document was parsed, too late to prevent a flash.
// The word of the theme is all that the page stores beyond the tab.
(() => {
  const root = document.documentElement;
  root.dataset.script = 'on';
  let theme = null;
  try {
    theme = localStorage.getItem('theme');
  } catch {
    // The browser keeps no storage for this page; the system's colours are used.
  }
  if (theme === 'light' || theme === 'dark') root.dataset.theme = theme;
})();
