/** Frames of a video, by their number or as it plays. */

/** So many frames are played to measure how far apart they are. */
const MEASURED = 8;

/** Wait for an event of a video, or for its error. */
export function happened(video, event) {
  return new Promise((resolve, reject) => {
    video.addEventListener(event, resolve, { once: true });
    video.addEventListener("error", () => reject(new Error(REFUSED)), { once: true });
  });
}

const REFUSED = "This browser cannot play that file; try an mp4 (H.264) or webm video.";

/** A file's video, silent and not shown, its frames per second, and how many
    it has. It is played from memory, so that every frame can be sought. */
export async function open(file) {
  const video = Object.assign(document.createElement("video"), {
    muted: true, playsInline: true, preload: "auto", src: URL.createObjectURL(file),
  });
  await happened(video, "loadeddata");
  const fps = await measuredRate(video);
  return { video, fps, total: Math.max(Math.round(video.duration * fps), 1) };
}

/** Frames per second: a page cannot ask for it, so some frames are played. */
async function measuredRate(video) {
  if (!("requestVideoFrameCallback" in video)) return 30;
  const times = [];
  const enough = new Promise((resolve) => {
    const note = (_, { mediaTime }) => {
      if (times.push(mediaTime) > MEASURED) resolve();
      else video.requestVideoFrameCallback(note);
    };
    video.requestVideoFrameCallback(note);
    video.addEventListener("ended", resolve, { once: true });
    setTimeout(resolve, 1500);
  });
  await video.play();
  await enough;
  video.pause();
  const apart = times.slice(1).map((time, i) => time - times[i]).filter((gap) => gap > 1e-4);
  return apart.length ? 1 / Math.min(...apart) : 30;
}

/** Pictures of the frames with these numbers. */
export async function* pictures({ video, fps }, numbers) {
  for (const number of numbers) {
    const sought = happened(video, "seeked");
    video.currentTime = Math.min((number + 0.5) / fps, video.duration);
    await sought;
    yield picture(video);
  }
}

/** What a video shows now, as pixels. */
export function picture(video) {
  const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  pen.drawImage(video, 0, 0);
  return pen.getImageData(0, 0, canvas.width, canvas.height);
}

/** Draw the middle square of a picture, which is what the model sees of it. */
export function drawSquare(canvas, pixels) {
  const { width, height } = pixels, side = Math.min(width, height);
  const whole = new OffscreenCanvas(width, height);
  whole.getContext("2d").putImageData(pixels, 0, 0);
  canvas.width = canvas.height = Math.min(side, 240);
  const left = Math.ceil((width - side) / 2), top = Math.ceil((height - side) / 2);
  const pen = canvas.getContext("2d");
  pen.drawImage(whole, left, top, side, side, 0, 0, canvas.width, canvas.height);
}
