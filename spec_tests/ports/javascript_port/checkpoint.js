import { parse } from "./safetensors.js";

/** A file that this project has written: its weights, config, labels and
    preprocessing. */
export function readCheckpoint(buffer) {
  const { metadata, tensors } = parse(buffer);
  return { weights: tensors, ...JSON.parse(metadata.timesformer_ref) };
}
