/** The functions of the port interface (docs/ports.md): a request to a
    response, both as safetensors files are, in metadata and tensors. */
import { classifier } from "./classifier.js";
import { attentionStep, block, feedForward } from "./divided_attention.js";
import { gradients } from "./gradients.js";
import { initialWeights } from "./initialise.js";
import { forward } from "./model.js";
import { patchify } from "./patchify.js";
import { Refusal, refuse } from "./refusal.js";
import { frameIndices, segmentIndices } from "./sampling.js";
import { SCHEMES, separateFrames } from "./schemes.js";
import { tensor } from "./tensor.js";
import { timeEmbedding } from "./time_embedding.js";
import { crops } from "./views.js";
import { checkWeights, part } from "./weights.js";

const FUNCTIONS = {
  describe: () => ({
    metadata: {
      NAME: "JavaScript",
      ATTENTION_TYPES: JSON.stringify(Object.keys(SCHEMES)),
    },
  }),
  forward: (r) => output(forward(r.input, r.weights, r.config).logits),
  patchify: (r) => output(patchify(r.input, r.weights, r.config)),
  time_embedding: (r) =>
    output(timeEmbedding(tokensOf(r), r.weights, r.config)),
  attention_step: (r) => {
    const w = blockOf(r), grid = gridOf(r), step = stepOf(r);
    return output(attentionStep(tokensOf(r), w, r.config, grid, step)[0]);
  },
  mlp: (r) => output(feedForward(tokensOf(r), blockOf(r), r.config)),
  block: (r) => output(block(tokensOf(r), blockOf(r), r.config, gridOf(r))[0]),
  classifier: (r) =>
    output(classifier(tokensOf(r), r.weights, r.config, gridOf(r).t)),
  gradients: (r) => {
    const labels = Array.from(r.labels.data, Number);
    const [loss, found] = gradients(r.input, labels, r.weights, r.config);
    return { tensors: { loss: tensor([], Float32Array.of(loss)), ...found } };
  },
  initial_weights: (r) => ({ tensors: initialWeights(r.config, r.seed) }),
  frame_indices: (r) => indices(frameIndices(r)),
  segment_indices: (r) => indices(segmentIndices(r)),
  crops: (r) => output(crops(r.input, r.scale, r.crop)),
  attentions, // not of the interface
};

/** The arguments that a request's metadata hold as JSON. */
const IN_JSON = [
  "config", "layer", "grid", "seed", "total", "fps", "num_frames", "sampling_rate", "clip",
  "num_clips", "scale", "crop",
];

/** The response to a request, given the weights by name. */
export function respond({ metadata, tensors }, weights) {
  if (!Object.hasOwn(FUNCTIONS, metadata.function))
    return { metadata: { unsupported: "" } };
  const request = { weights, step: metadata.step, ...tensors };
  for (const name of IN_JSON)
    if (name in metadata) request[name] = JSON.parse(metadata[name]);
  try {
    if (weights) checkWeights(weights, request.config);
    return FUNCTIONS[metadata.function](request);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    return { metadata: { error: error.message } };
  }
}

/** The attention weights of each step, groups heads m m, as
    `blocks.0.temporal` and the like. */
function attentions({ input, weights, config }) {
  const found = {};
  forward(input, weights, config, { outputAttentions: true }).attentions.forEach((steps, i) => {
    for (const [step, attention] of Object.entries(steps)) found[`blocks.${i}.${step}`] = attention;
  });
  return { tensors: found };
}

function output(x) {
  return { tensors: { output: x } };
}

function indices(numbers) {
  return output(tensor([numbers.length], BigInt64Array.from(numbers, BigInt)));
}

function tokensOf({ input, config }) {
  if (input.shape.at(-1) !== config.hidden_size)
    refuse(`tokens of width ${input.shape.at(-1)}, expected ${config.hidden_size}`);
  return input;
}

function blockOf({ weights, config, layer }) {
  if (layer >= config.num_hidden_layers)
    refuse(`layer ${layer}, expected one below ${config.num_hidden_layers}`);
  return part(weights, `blocks.${layer}`);
}

function stepOf({ config, step }) {
  if (!SCHEMES[config.attention_type].includes(step))
    refuse(`${config.attention_type} has no step ${step}`);
  return step;
}

/** The clip's grid, if the input's tokens lie on it. */
function gridOf({ input, config, grid: [t, h, w] }) {
  const frames = separateFrames(config) ? 1 : t;
  if (input.shape[1] !== 1 + frames * h * w || input.shape[0] % (t / frames))
    refuse(`tokens of shape ${input.shape} do not lie on a grid of ${t} x ${h} x ${w}`);
  return { t, h, w };
}
