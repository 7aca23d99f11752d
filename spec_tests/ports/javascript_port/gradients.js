import { crossEntropy } from "./classifier.js";
import { forward } from "./model.js";
import { refuse } from "./refusal.js";
import { withBackwardPass } from "./tape.js";
import { gradient, tensor } from "./tensor.js";

/** The training loss of a batch, and its gradient by weight name (original:
    autograd). */
export function gradients(video, labels, weights, config) {
  const isClass = (label) => 0 <= label && label < config.num_labels;
  if (labels.length !== video.shape[0] || !labels.every(isClass))
    refuse(`labels ${labels}, expected one below ${config.num_labels} a clip`);
  const fresh = mapValues(weights, ({ shape, data }) => tensor(shape, data));
  const loss = withBackwardPass(() =>
    crossEntropy(forward(video, fresh, config).logits, labels));
  const found = mapValues(fresh, (w) =>
    tensor(w.shape, Float32Array.from(gradient(w))));
  return [loss, found];
}

function mapValues(object, change) {
  return Object.fromEntries(Object.entries(object).map(([name, value]) => [name, change(value)]));
}
