/** The frames of a clip with their patches, of which one is chosen by pointing
    at it, by touch, or with the arrow keys. */
import { CLASS_TOKEN, nameOf, percent, placeOf, tokenAt } from "./attention.js";
import { drawSquare } from "./frames.js";

const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

/** Build the strip in `place`, a toolbar, and the class token's button. They
    call the figure's `point(token)`, null where the pointer leaves, and
    `choose(token)`. */
export function strip(place, classButton, grid, figure) {
  const frames = Array.from({ length: grid.t }, (_, frame) => frameOf(frame, grid));
  place.replaceChildren(...frames.map(({ box }) => box));
  const buttons = [classButton];
  for (const { patches } of frames)
    for (const button of patches) buttons[+button.dataset.token] = button;
  let stop = buttons[1]; // of the Tab key; the arrow keys reach the others
  const makeStop = (button) => {
    stop.tabIndex = -1;
    (stop = button).tabIndex = 0;
  };
  makeStop(stop);
  buttons.forEach((button, token) => {
    button.addEventListener("click", () => figure.choose(token));
    button.addEventListener("pointermove", ({ pointerType }) =>
      pointerType === "mouse" && figure.point(token));
    if (token !== CLASS_TOKEN) button.addEventListener("focus", () => {
      makeStop(button);
      if (button.matches(":focus-visible")) figure.choose(token);
    });
  });
  for (const left of [place, classButton])
    left.addEventListener("pointerleave", () => figure.point(null));
  place.addEventListener("keydown", (event) => {
    if (!(event.key in MOVES)) return;
    event.preventDefault();
    buttons[neighbour(+event.target.dataset.token, MOVES[event.key], grid)]?.focus();
  });
  return {
    draw: (pixels) => pixels.forEach((picture, i) => drawSquare(frames[i].canvas, picture)),
    mark: (weights, chosen) => mark(buttons, weights, chosen, grid),
  };
}

function frameOf(frame, { t, h, w }) {
  const box = document.createElement("div"), canvas = document.createElement("canvas");
  box.setAttribute("role", "group");
  box.setAttribute("aria-label", `Frame ${frame}`);
  box.style.setProperty("--columns", w);
  const patches = Array.from({ length: h * w }, (_, i) => {
    const button = document.createElement("button");
    button.type = "button";
    button.tabIndex = -1;
    button.dataset.token = tokenAt({ frame, row: Math.floor(i / w), column: i % w }, { t, w });
    return button;
  });
  box.append(canvas, ...patches);
  return { box, canvas, patches };
}

/** Show each token's share by its colour and as a number. */
function mark(buttons, weights, chosen, grid) {
  const most = Math.max(...weights.slice(1), 1e-9), digits = most < 0.1 ? 1 : 0;
  buttons.forEach((button, token) => {
    const share = weights[token], isChosen = token === chosen;
    button.style.setProperty("--share", share === null ? 0 : Math.min(share / most, 1));
    button.dataset.percent = share === null ? "" : (100 * share).toFixed(digits);
    button.setAttribute("aria-pressed", isChosen);
    const says = [isChosen && "attends", share !== null && `gets ${percent(share, digits)}`];
    button.setAttribute("aria-label", [nameOf(token, grid), ...says].filter(Boolean).join(", "));
  });
}

function neighbour(token, [down, right], grid) {
  const { frame, row, column } = placeOf(token, grid), across = frame * grid.w + column + right;
  if (across < 0 || across >= grid.t * grid.w || row + down < 0 || row + down >= grid.h) return -1;
  return tokenAt(
    { frame: Math.floor(across / grid.w), row: row + down, column: across % grid.w }, grid,
  );
}
