"use strict";

// Everything shown comes from the package's step table, by docs/making/explorer_data.py.
const data = JSON.parse(document.getElementById("explorer-data").textContent);
const [frames, rows, columns] = data.grid;

const CLASS_TOKEN = 0;
const MOVES = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

const select = document.getElementById("scheme");
const clip = document.getElementById("explorer-clip");
const words = document.getElementById("explorer-words");
const cost = document.getElementById("explorer-cost");

const range = (length) => Array.from({ length }, (_, i) => i);

select.innerHTML = Object.entries(data.schemes)
  .map(([name, { title }]) => `<option value="${name}">${title}</option>`)
  .join("");
select.value = "divided_space_time";
clip.innerHTML = range(frames).map(frame).join("");
clip.style.setProperty("--columns", columns);

const patches = [...clip.querySelectorAll("button")];
const tokens = [document.querySelector("[data-class-token]"), ...patches];
let chosen = data.start;

function frame(t) {
  const cells = range(rows).flatMap((y) =>
    range(columns).map(
      (x) => `<button type="button" data-t="${t}" data-y="${y}" data-x="${x}"></button>`,
    ),
  );
  return `<div role="group" aria-label="Frame ${t}">${cells.join("")}</div>`;
}

function nameOf(token) {
  if (token === CLASS_TOKEN) return "Class token";
  const { t, y, x } = tokens[token].dataset;
  return `Frame ${t}, row ${y}, column ${x}`;
}

function attendsTo(step, from, to) {
  if (from === CLASS_TOKEN || to === CLASS_TOKEN) return step.class_token;
  return step.groups[from] === step.groups[to];
}

function markOf(scheme, token) {
  const steps = scheme.steps.flatMap((step, i) => (attendsTo(step, chosen, token) ? [i + 1] : []));
  if (token === chosen) return { kind: "chosen", sign: "", label: "chosen" };
  if (steps.length) {
    const label = `attended to in step ${steps.join(" and ")}`;
    return { kind: "attended", sign: steps.join(" "), label };
  }
  if (scheme.reaches[chosen][token] === "1") {
    return { kind: "indirect", sign: "•", label: "reached indirectly" };
  }
  return { kind: "unknown", sign: "", label: "" };
}

function showTokens(scheme) {
  tokens.forEach((button, token) => {
    const { kind, sign, label } = markOf(scheme, token);
    button.dataset.mark = kind;
    button.dataset.sign = sign;
    button.setAttribute("aria-pressed", kind === "chosen");
    button.setAttribute("aria-label", [nameOf(token), label].filter(Boolean).join(", "));
  });
}

function showWords(scheme) {
  const who = chosen === CLASS_TOKEN ? "class_token_words" : "patch_words";
  const steps = scheme.steps.map((step) => `<li><b>${step.name}</b>: ${step[who]}</li>`);
  const reached = [...scheme.reaches[chosen].slice(1)].filter((mark) => mark === "1").length;
  const count = chosen === CLASS_TOKEN ? scheme.class_tokens : 1;
  const holder = count > 1 ? `each of the ${count}` : "it";
  words.innerHTML = `<p><b>${nameOf(chosen)}</b> in a block:</p><ol>${steps.join("")}</ol>
    <p>After the block ${holder} may hold information from ${reached / count} of
    ${patches.length} patches.</p>`;
}

function showCost(scheme) {
  const [who, title] =
    chosen === CLASS_TOKEN ? ["class_token", "class token"] : ["patch", "one patch"];
  const clips = Object.keys(scheme.comparisons);
  const line = (name, row) => {
    const cells = clips.map((clip) => {
      const count = scheme.comparisons[clip][row];
      return `<td>${count[who].toLocaleString("en")}</td><td>${count.all.toLocaleString("en")}</td>`;
    });
    return `<tr><th scope="row">${name}</th>${cells.join("")}</tr>`;
  };
  const names = [...scheme.steps.map((step, i) => `${i + 1}. ${step.name}`), "block"];
  cost.innerHTML = `<caption>Comparisons</caption>
    <thead>
      <tr><td></td>${clips.map((clip) => `<th scope="colgroup" colspan="2">${clip}</th>`).join("")}</tr>
      <tr><td></td>${clips.map(() => `<th scope="col">${title}</th><th scope="col">all</th>`).join("")}</tr>
    </thead>
    <tbody>${names.map(line).join("")}</tbody>`;
}

function show() {
  const scheme = data.schemes[select.value];
  showTokens(scheme);
  showWords(scheme);
  showCost(scheme);
}

// One patch at a time is a stop of the Tab key; the arrow keys reach the others.
function makeTabStop(patch) {
  for (const other of patches) other.tabIndex = other === patch ? 0 : -1;
}

function neighbour(patch, [down, right]) {
  const y = +patch.dataset.y + down;
  const column = +patch.dataset.t * columns + +patch.dataset.x + right;
  return patches.find(
    ({ dataset }) => +dataset.y === y && +dataset.t * columns + +dataset.x === column,
  );
}

clip.addEventListener("focusin", ({ target }) => makeTabStop(target));
clip.addEventListener("keydown", (event) => {
  if (!(event.key in MOVES)) return;
  event.preventDefault();
  neighbour(event.target, MOVES[event.key])?.focus();
});
select.addEventListener("change", show);
for (const [token, button] of tokens.entries()) {
  button.addEventListener("click", () => {
    chosen = token;
    show();
  });
}

makeTabStop(tokens[chosen]);
show();
document.getElementById("explorer").hidden = false;
