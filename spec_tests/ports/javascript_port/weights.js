import { refuse } from "./refusal.js";
import { SCHEMES, separateFrames } from "./schemes.js";

/** The weights of one block or layer: those whose names start with `prefix.`,
    without it. */
export function part(weights, prefix) {
  const found = Object.entries(weights).filter(([name]) => name.startsWith(`${prefix}.`));
  return Object.fromEntries(found.map(([name, weight]) => [name.slice(prefix.length + 1), weight]));
}

/** Every weight of a model by name: its shape and its initial values. */
export function weightTable(config) {
  const { hidden_size: d, patch_size: p, num_channels: c, intermediate_size: m } = config;
  const table = {};
  const layer = (name, shape, values, biasValues = "zeros") => {
    table[`${name}.weight`] = { shape, values };
    table[`${name}.bias`] = { shape: [shape[0]], values: biasValues };
  };
  table.cls_token = { shape: [1, 1, d], values: "normal" };
  table.pos_embed = { shape: [1, 1 + (config.image_size / p) ** 2, d], values: "normal" };
  layer("patch_embed.proj", [d, c, p, p], "fan_in", "fan_in");
  if (!separateFrames(config))
    table.time_embed = { shape: [1, config.num_frames, d], values: "zeros" };
  for (let i = 0; i < config.num_hidden_layers; i++) {
    for (const step of SCHEMES[config.attention_type]) {
      const prefix = `blocks.${i}.${stepPrefix(config, step)}`;
      layer(`${prefix}norm1`, [d], "ones");
      layer(`${prefix}attn.qkv`, [3 * d, d], "normal");
      if (!config.qkv_bias) delete table[`${prefix}attn.qkv.bias`];
      layer(`${prefix}attn.proj`, [d, d], "normal");
      if (!isLastStep(config, step)) layer(`${prefix}fc`, [d, d], "zeros");
    }
    layer(`blocks.${i}.norm2`, [d], "ones");
    layer(`blocks.${i}.mlp.fc1`, [m, d], "normal");
    layer(`blocks.${i}.mlp.fc2`, [d, m], "normal");
  }
  layer("norm", [d], "ones");
  layer("head", [config.num_labels, d], "normal");
  return table;
}

export function isLastStep(config, step) {
  return step === SCHEMES[config.attention_type].at(-1);
}

/** What precedes the names of a step's weights: nothing for the last step,
    else `STEP_`. */
export function stepPrefix(config, step) {
  return isLastStep(config, step) ? "" : `${step}_`;
}

/** Refuse weights of other names or shapes than the config's. */
export function checkWeights(weights, config) {
  const table = weightTable(config);
  for (const [name, { shape }] of Object.entries(table))
    if (`${weights[name]?.shape}` !== `${shape}`)
      refuse(`weight ${name} has shape ${weights[name]?.shape ?? "none"}, expected ${shape}`);
  for (const name in weights) if (!(name in table)) refuse(`there is no weight ${name}`);
}
