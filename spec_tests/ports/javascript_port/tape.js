/** The backward passes of the calls so far; null unless gradients are
    wanted. */
export let tape = null;

/** Run a function, then the backward passes of all layers that it called, the
    last first. Returns what the function returned. */
export function withBackwardPass(run) {
  tape = [];
  try {
    const result = run();
    while (tape.length) tape.pop()();
    return result;
  } finally {
    tape = null;
  }
}
