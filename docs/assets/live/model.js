/** What the page asks of the JavaScript port: views of frames, and an answer
    with all attention weights. Nothing here knows of a page. */
import { readCheckpoint } from "../port/checkpoint.js";
import { softmax } from "../port/layers.js";
import { forward } from "../port/model.js";
import { span, spread } from "../port/sampling.js";
import { SCHEMES, groupTokens } from "../port/schemes.js";
import { tensor } from "../port/tensor.js";
import { crops } from "../port/views.js";
import { stepPrefix } from "../port/weights.js";
import { rollout } from "./rollout.js";

/** The model in a file's bytes, and what a page has to know of it. */
export function load(buffer) {
  const model = readCheckpoint(buffer), { config } = model;
  const side = config.image_size / config.patch_size;
  const grid = { t: config.num_frames, h: side, w: side };
  const steps = SCHEMES[config.attention_type];
  const groups = Object.fromEntries(steps.map((step) => [step, groupTokens(step, grid)]));
  const about = {
    grid, groups, steps,
    labels: model.labels,
    blocks: config.num_hidden_layers,
    heads: config.num_attention_heads,
    seconds: span({ fps: 1, ...model.preprocessing }),
  };
  return { ...model, grid, about };
}

/** The frames of the clip that ends with frame `last`, or of the first clip,
    in a video of `total` frames at `fps` per second. */
export function clipFrames({ preprocessing }, { total, fps, last }) {
  const length = span({ fps, ...preprocessing });
  return spread(total, Math.max(last + 1 - length, 0), length, preprocessing.num_frames);
}

/** The model's view of one frame: normalised pixels, c crop crop. A canvas
    gives red, green, blue and opacity. */
export function view({ preprocessing }, { data, width, height }) {
  const rgb = new Uint8Array(3 * width * height);
  for (let i = 0; i < width * height; i++)
    for (let channel = 0; channel < 3; channel++) rgb[3 * i + channel] = data[4 * i + channel];
  const { single_crop_scale, crop } = preprocessing;
  const frames = tensor([1, height, width, 3], rgb);
  return crops(frames, single_crop_scale ?? Math.round((crop * 256) / 224), crop, preprocessing).data;
}

/** The model's answer to one view of each frame, in order. `change` says what
    is switched off (see `without`). */
export function answer(model, { views, change = {} }) {
  const { crop } = model.preprocessing, { config, grid } = model;
  const video = tensor([1, views.length, 3, crop, crop]);
  views.forEach((pixels, t) => video.data.set(pixels, t * pixels.length));
  const weights = without(model, change);
  const { logits, attentions } = forward(video, weights, config, { outputAttentions: true });
  const probabilities = Float64Array.from(logits.data);
  softmax(probabilities, 0, probabilities.length);
  const shares = rollout(attentions, config, { ...grid, t: views.length });
  return { logits: logits.data, probabilities, attentions, rollout: shares };
}

/** The weights, with zeros where they make a part of the model do nothing.
    time: the time embedding. fc: the layer after every step but the last.
    head: { block, step, head }, one head of one step. */
function without({ weights, config }, { time, fc, head }) {
  const changed = { ...weights };
  const zero = (name, isGone = () => true) => {
    const { shape, data } = weights[name];
    changed[name] = tensor(shape, data.map((number, i) => (isGone(i) ? 0 : number)));
  };
  if (time) zero("time_embed");
  if (fc)
    Object.keys(weights).filter((name) => name.includes("_fc.")).forEach((name) => zero(name));
  if (head) {
    const d = config.hidden_size, width = d / config.num_attention_heads;
    const proj = `blocks.${head.block}.${stepPrefix(config, head.step)}attn.proj.weight`;
    zero(proj, (i) => Math.floor((i % d) / width) === head.head);
  }
  return changed;
}
