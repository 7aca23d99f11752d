/** The live figure: the model classifies a video in the page, and shows what
    its tokens attend to. It fills every element with `data-live`; `data-shown`
    is the step that it begins with, `data-start` the second of the video. */
import { startModel } from "./asking.js";
import { CLASS_TOKEN, MEAN, ROLLOUT, tokenAt, weightsOf } from "./attention.js";
import { open } from "./frames.js";
import { PARTS, fillLists } from "./parts.js";
import { Player } from "./player.js";
import { strip } from "./strip.js";
import { answerTable, attentionWords } from "./words.js";

const EXAMPLE = new URL("../example.mp4", import.meta.url);

const example = async () => open(await (await fetch(EXAMPLE)).blob());

class Figure {
  #root; #ask; #about; #player; #strip;
  #frames = []; #answer; #asked = 0; #pointed = null; #chosen;
  #order = ""; #shuffle; #change = {};

  constructor(root, ask, about) {
    [this.#root, this.#ask, this.#about] = [root, ask, about];
    const { grid } = about, find = (selector) => root.querySelector(selector);
    fillLists(find, about, ROLLOUT, MEAN);
    find("[data-step]").value = root.dataset.shown ?? `0.${about.steps[0]}`;
    const middle = { row: Math.floor(grid.h / 2), column: Math.floor(grid.w / 2) };
    this.#chosen = tokenAt({ frame: 2, ...middle }, grid);
    this.#strip = strip(find(".live-strip"), find("[data-class-token]"), grid, this);
    const take = (frames) => this.#take(frames);
    this.#player = new Player(find("video"), ask, about, take);
    this.#player.onError = (error) => this.#say(error.message);
    this.#listen();
  }

  #find(selector) {
    return this.#root.querySelector(selector);
  }

  #say(problem) {
    this.#find("[role=alert]").textContent = problem;
  }

  #listen() {
    const on = (selector, event, react) => {
      const target = selector ? this.#find(selector) : this.#root;
      target.addEventListener(event, (happened) => this.#try(() => react(happened)));
    };
    on("[data-example]", "click", async () => this.show(await example()));
    on("[data-camera]", "click", () => this.#player.film());
    on("[type=file]", "change", ({ target }) => this.#showFile(target.files[0]));
    on("", "dragover", (event) => event.preventDefault());
    on("", "drop", (event) => {
      event.preventDefault();
      return this.#showFile(event.dataTransfer.files[0]);
    });
    for (const name of ["step", "head"])
      on(`[data-${name}]`, "change", () => this.#showAttention(true));
    const onChange = (name, note) => on(`[data-${name}]`, "change", ({ target }) => {
      note(target);
      return this.#classify();
    });
    onChange("order", ({ value }) => ([this.#order, this.#shuffle] = [value, undefined]));
    onChange("time", ({ checked }) => (this.#change.time = checked));
    onChange("fc", ({ checked }) => (this.#change.fc = checked));
    onChange("off", ({ value }) => {
      const [block, step, head] = value.split(".");
      this.#change.head = value && { block: +block, step, head: +head };
    });
  }

  async #try(work) {
    try {
      this.#say("");
      await work();
    } catch (error) {
      this.#say(error.message);
    }
  }

  /** Show an opened video, stopped at a second. */
  show(footage, start) {
    return this.#player.show(footage, start);
  }

  async #showFile(file) {
    if (file) await this.show(await open(file));
  }

  /** A token is chosen for good. */
  choose(token) {
    this.#chosen = token;
    this.#pointed = null;
    if (this.#shown().step === ROLLOUT) this.#find("[data-step]").selectedIndex = 0;
    this.#showAttention(true);
  }

  /** A token is pointed at, or none. */
  point(token) {
    if (token === this.#pointed) return;
    this.#pointed = token;
    this.#showAttention(false);
  }

  /** A new clip. */
  #take(frames) {
    this.#frames = frames;
    return this.#classify();
  }

  /** Answer for the clip, as filmed and as changed. */
  async #classify() {
    const mine = ++this.#asked, frames = this.#frames, places = this.#places();
    const isChanged = this.#order || Object.values(this.#change).some(Boolean);
    const views = frames.map(({ view }) => view), change = this.#change;
    const plain = await this.#ask("answer", { views });
    const changed = isChanged
      ? await this.#ask("answer", { views: places.map((i) => views[i]), change })
      : null;
    if (mine !== this.#asked) return; // a later one is under way
    this.#answer = changed ?? plain;
    this.#strip.draw(places.map((i) => frames[i].pixels));
    this.#showAnswer(plain, changed);
    this.#showAttention(!this.#player.isPlaying);
    performance.mark("live answer");
  }

  /** Which frame the model sees in each place. */
  #places() {
    const places = this.#frames.map((_, i) => i);
    if (this.#order === "backwards") return places.reverse();
    return this.#order === "shuffled" ? (this.#shuffle ??= shuffled(places)) : places;
  }

  #showAnswer(plain, changed) {
    const { labels } = this.#about, { dataset } = this.#root;
    const table = answerTable(labels, plain.probabilities, changed?.probabilities);
    this.#find("caption").textContent = table.headline;
    this.#find("tbody").innerHTML = table.rows;
    dataset.answer = table.best;
    dataset.frames = this.#frames.map(({ number }) => number ?? "").join(" ");
  }

  /** The step and head that are shown. */
  #shown() {
    const [block, step] = this.#find("[data-step]").value.split(".");
    const head = this.#find("[data-head]").value;
    return { block: +block, step, head: head === MEAN ? MEAN : +head };
  }

  #showAttention(speak) {
    if (!this.#answer) return;
    const shown = this.#shown(), isRollout = shown.step === ROLLOUT;
    const chosen = isRollout ? CLASS_TOKEN : (this.#pointed ?? this.#chosen);
    const weights = weightsOf(this.#answer, this.#about, shown, chosen);
    this.#find("[data-head]").disabled = isRollout;
    this.#strip.mark(weights, chosen);
    const words = attentionWords(weights, shown, chosen, this.#about.grid);
    if (speak) this.#find(".live-words").textContent = words;
  }
}

/** The same places in a random order. */
function shuffled(places) {
  const left = [...places];
  return places.map(() => left.splice(Math.floor(Math.random() * left.length), 1)[0]);
}

async function mount(root) {
  root.innerHTML = PARTS;
  try {
    const ask = startModel(), opened = example();
    const figure = new Figure(root, ask, await ask("about"));
    await figure.show(await opened, root.dataset.start && +root.dataset.start);
  } catch (error) {
    root.querySelector("[role=alert]").textContent = error.message;
  }
}

/** Begin with what is on the screen; further down, when it comes there. */
const arrivals = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries)
    if (isIntersecting) {
      arrivals.unobserve(target);
      mount(target);
    }
}, { rootMargin: "200px" });
for (const root of document.querySelectorAll("[data-live]")) arrivals.observe(root);
