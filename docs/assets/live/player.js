/** The clip that the model is asked about: of a video that plays or has
    stopped, a file's or the camera's. */
import { happened, open, picture, pictures } from "./frames.js";

export class Player {
  #video; #ask; #about; #take; #footage = null; #latest = []; #waiting = false;

  /** `take(frames)`, which may be a promise, gets each clip: eight frames, each
      of its pixels, its view and, where it is known, its number. */
  constructor(video, ask, about, take) {
    Object.assign(this, { onError: console.error });
    [this.#video, this.#ask, this.#about, this.#take] = [video, ask, about, take];
    for (const event of ["pause", "seeked"])
      video.addEventListener(event, () => this.#try(() => this.#stopped()));
    video.addEventListener("play", () => (this.#latest = []));
    const apart = (1000 * about.seconds) / about.grid.t;
    setInterval(() => this.#try(() => this.#playing()), apart);
  }

  /** Show an opened video (see `open`), stopped at a second: by default where
      the first clip ends. */
  async show(footage, start) {
    this.#end();
    this.#video.src = footage.video.src;
    if (this.#video.readyState < 1) await happened(this.#video, "loadedmetadata");
    this.#footage = footage;
    const first = Math.floor(this.#about.seconds * footage.fps - 1) / footage.fps;
    this.#video.currentTime = Math.min(start ?? first, this.#video.duration); // `seeked` follows
  }

  /** Show what the camera sees. */
  async film() {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { width: 320 } });
    this.#end();
    this.#video.removeAttribute("src");
    this.#video.srcObject = stream;
    await this.#video.play();
  }

  get isPlaying() {
    return !this.#video.paused;
  }

  #end() {
    for (const track of this.#video.srcObject?.getTracks() ?? []) track.stop();
    this.#video.srcObject = null;
    this.#footage = null;
  }

  async #try(work) {
    try {
      await work();
    } catch (error) {
      this.onError(error);
    }
  }

  async #frame(pixels, number) {
    return { pixels, number, view: await this.#ask("view", pixels) };
  }

  /** The exact frames of the clip that ends where the video has stopped; of
      the camera the last ones stay. */
  async #stopped() {
    const footage = this.#footage, { currentTime } = this.#video;
    if (this.isPlaying || !footage) return;
    const last = Math.min(Math.round(currentTime * footage.fps), footage.total - 1);
    const numbers = await this.#ask("clipFrames", { ...footage, video: undefined, last });
    const frames = [];
    for await (const pixels of pictures(footage, numbers)) {
      if (this.isPlaying || this.#video.currentTime !== currentTime) return;
      frames.push(await this.#frame(pixels, numbers[frames.length]));
    }
    await this.#take(frames);
  }

  /** While it plays: the last second, a frame at a time; frames that come
      while the model works on others are only kept. */
  async #playing() {
    if (!this.isPlaying || this.#video.readyState < 2) return;
    const latest = this.#latest;
    latest.push(await this.#frame(picture(this.#video)));
    if (latest.length > this.#about.grid.t) latest.shift();
    if (latest.length < this.#about.grid.t || this.#waiting) return;
    this.#waiting = true;
    await Promise.resolve(this.#take([...latest])).finally(() => (this.#waiting = false));
  }
}
