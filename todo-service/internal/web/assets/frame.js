// Work for the next frame.

/** A hidden tab has no frames; work is then done after this time, in ms. */
const WITHOUT_FRAMES = 100;

/**
 * Runs a function in the next frame, or soon if the tab is hidden.
 * @param {() => void} run
 */
export function nextFrame(run) {
  let pending = true;
  const once = () => {
    if (!pending) return;
    pending = false;
    run();
  };
  requestAnimationFrame(once);
  setTimeout(once, WITHOUT_FRAMES);
}
