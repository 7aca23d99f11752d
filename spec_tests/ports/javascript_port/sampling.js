/** Place i of `places` from start to end, as PyTorch's linspace computes it:
    in float32, from both ends to the middle. */
function linspace(start, end, places, i) {
  if (places === 1) return start;
  const step = Math.fround(Math.fround(end - start) / (places - 1));
  return i < Math.floor(places / 2)
    ? Math.fround(start + Math.fround(step * i))
    : Math.fround(end - Math.fround(step * (places - 1 - i)));
}

/** Which frames of a video make a clip. It lasts num_frames * sampling_rate
    frames of a video at 30 per second; of num_clips clips the first starts at
    frame 0 and the last ends before the video does. A video that is too short
    has its last frame repeated (original `datasets/decoder.py`). */
export function frameIndices({ total, fps, num_frames, sampling_rate, clip, num_clips }) {
  const length = span({ fps, num_frames, sampling_rate });
  const start = (Math.max(total - length, 0) * clip) / num_clips;
  return spread(total, start, length, num_frames);
}

/** How many frames of a video at this speed a clip spans. */
export function span({ fps, num_frames, sampling_rate }) {
  return ((sampling_rate * num_frames) / 30) * fps;
}

/** num_frames frames of `total`, evenly over a span that begins at `start`. */
export function spread(total, start, length, num_frames) {
  const end = start + length - 1;
  return Array.from({ length: num_frames }, (_, i) => {
    const place = linspace(Math.fround(start), Math.fround(end), num_frames, i);
    return Math.trunc(Math.max(0, Math.min(place, Math.fround(total - 1))));
  });
}

/** The middle frame of each of num_frames equal segments. Bounds are rounded
    half to even, the middle is rounded down (original `datasets/ssv2.py`,
    test). */
export function segmentIndices({ total, num_frames }) {
  const bound = (i) => roundHalfToEven(((total - 1) / num_frames) * i);
  return Array.from({ length: num_frames }, (_, i) => Math.floor((bound(i) + bound(i + 1)) / 2));
}

function roundHalfToEven(x) {
  const below = Math.floor(x), rest = x - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}
