import { layerNorm, linear, softmax } from "./layers.js";
import { addMean } from "./rows.js";
import { separateFrames } from "./schemes.js";
import { gradient, tensor } from "./tensor.js";
import { tape } from "./tape.js";
import { part } from "./weights.js";

/** Logits, b labels: one linear layer on the normed class token (an MLP in the
    paper, after eq. 10). Where each frame was a clip of its own, their class
    tokens are averaged first. */
export function classifier(tokens, weights, config, frames) {
  const [sequences, s, d] = tokens.shape, t = separateFrames(config) ? frames : 1;
  const classTokens = tensor([sequences / t, d]);
  for (let clip = 0; clip < sequences / t; clip++) {
    const rows = Array.from({ length: t }, (_, frame) => (clip * t + frame) * s);
    addMean(classTokens, clip, tokens, rows);
  }
  const normed = layerNorm(classTokens, part(weights, "norm"), config.layer_norm_eps);
  return linear(normed, part(weights, "head"));
}

/** The mean of -log softmax(logits)[label]: the training loss. */
export function crossEntropy(logits, labels) {
  const [b, classes] = logits.shape, probabilities = Float64Array.from(logits.data);
  let loss = 0;
  labels.forEach((label, clip) => {
    const at = clip * classes;
    loss += (softmax(probabilities, at, classes) - logits.data[at + label]) / b;
  });
  tape?.push(() => {
    const d = gradient(logits);
    probabilities.forEach((probability, i) => (d[i] += probability / b));
    labels.forEach((label, clip) => (d[clip * classes + label] -= 1 / b));
  });
  return loss;
}
