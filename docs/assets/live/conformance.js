/** Run the suite's small vectors on the JavaScript port in this browser, and
    show the table filling. */
const root = document.querySelector("[data-vectors]");
const button = root.querySelector("button"), says = root.querySelector("[role=status]");
const table = root.querySelector("tbody"), problems = root.querySelector("ul");

button.addEventListener("click", () => {
  button.disabled = true;
  problems.replaceChildren();
  const worker = new Worker(new URL("judge.js", import.meta.url), { type: "module" });
  const start = performance.now();
  let run;
  worker.onmessage = ({ data }) => {
    if (data.cases) run = new Run(data);
    if (data.name) run.judged(data);
    if (data.done || data.error) {
      worker.terminate();
      button.disabled = false;
      const seconds = ((performance.now() - start) / 1000).toFixed(1);
      says.textContent = data.error ?? `${run.summary()}, in ${seconds} seconds.`;
    }
  };
});

/** The cases of one run, by requirement, and the table's cells. */
class Run {
  #passed = 0; #failed = 0; #cases; #left = {}; #cells = {};

  constructor({ requirements, cases }) {
    this.#cases = Object.fromEntries(cases.map(({ name, requirements: ids }) => [name, ids]));
    for (const id of cases.flatMap((row) => row.requirements))
      this.#left[id] = (this.#left[id] ?? 0) + 1;
    const groups = {};
    for (const id of requirements) (groups[id.split("-")[0]] ??= []).push(id);
    table.replaceChildren(...Object.entries(groups).map(([group, ids]) => this.#row(group, ids)));
    says.textContent = "Running.";
  }

  #row(group, ids) {
    const row = document.createElement("tr");
    row.innerHTML = `<th scope="row">${group}</th><td></td>`;
    row.lastChild.append(...ids.map((id) => this.#cell(id)));
    return row;
  }

  #cell(id) {
    const cell = document.createElement("a");
    cell.href = `../specification/#${id.toLowerCase()}`;
    this.#cells[id] = cell;
    this.#mark(id, id in this.#left ? "waiting" : "without");
    return cell;
  }

  #mark(id, state) {
    const sign = { waiting: "…", without: "–", passed: "✓", failed: "✗" }[state];
    this.#cells[id].dataset.state = state;
    this.#cells[id].textContent = `${id} ${sign}`;
  }

  judged({ name, wrong }) {
    wrong ? this.#failed++ : this.#passed++;
    for (const id of this.#cases[name]) {
      const left = --this.#left[id];
      if (wrong) this.#mark(id, "failed");
      else if (!left && this.#cells[id].dataset.state !== "failed") this.#mark(id, "passed");
    }
    if (wrong) {
      const problem = document.createElement("li");
      problem.textContent = `${name}: ${wrong}`;
      problems.append(problem);
    }
  }

  summary() {
    return `${this.#passed} cases passed, ${this.#failed} failed`;
  }
}
