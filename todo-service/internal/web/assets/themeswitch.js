// The switch between the colours of the system, light and dark.

const THEMES = ['system', 'light', 'dark'];

/**
 * Makes a button switch the theme: system, light, dark, and system again.
 * @param {HTMLButtonElement} button
 */
export function initThemeSwitch(button) {
  const root = document.documentElement;
  const show = () => {
    button.setAttribute('aria-label', `Colours: ${root.dataset.theme ?? 'system'}`);
    button.title = `Colours: ${root.dataset.theme ?? 'system'}`;
  };
  button.addEventListener('click', () => {
    const theme = THEMES[(THEMES.indexOf(root.dataset.theme ?? 'system') + 1) % THEMES.length];
    if (theme === 'system') delete root.dataset.theme;
    else root.dataset.theme = theme;
    show();
    try {
      if (theme === 'system') localStorage.removeItem('theme');
      else localStorage.setItem('theme', theme);
    } catch {
      // Without storage the choice holds for this tab.
    }
  });
  show();
  button.hidden = false;
}
