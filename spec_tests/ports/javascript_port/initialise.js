import { tensor } from "./tensor.js";
import { weightTable } from "./weights.js";

/** Random weights, distributed as the original's
    (`VisionTransformer.__init__`). */
export function initialWeights(config, seed) {
  const random = generator(seed), weights = {};
  for (const [name, { shape, values }] of Object.entries(weightTable(config))) {
    weights[name] = tensor(shape);
    if (values === "ones") weights[name].data.fill(1);
    if (values === "normal") fill(weights[name].data, () => clamp(0.02 * normal(random), 2));
    if (values === "fan_in") {
      const inputs = config.num_channels * config.patch_size ** 2;
      fill(weights[name].data, () => (2 * random() - 1) / Math.sqrt(inputs));
    }
  }
  return weights;
}

function fill(numbers, draw) {
  for (let i = 0; i < numbers.length; i++) numbers[i] = draw();
}

function clamp(x, bound) {
  return Math.max(-bound, Math.min(bound, x));
}

/** Standard normal, by Box and Muller's method. */
function normal(random) {
  return Math.sqrt(-2 * Math.log(random())) * Math.cos(2 * Math.PI * random());
}

/** Numbers above 0 and at most 1, each as likely as the other: Doty-Humphrey's
    sfc32. */
function generator(seed) {
  let a = 0, b = seed | 0, c = (seed / 2 ** 32) | 0, counter = 1;
  const draw = () => {
    const sum = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + sum) | 0;
    return ((sum >>> 0) + 1) / 2 ** 32;
  };
  for (let i = 0; i < 15; i++) draw(); // until every bit depends on the seed
  return draw;
}
