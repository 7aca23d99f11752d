/** The model in a thread of its own, so that the page does not freeze: a
    message { id, name, argument } calls a function of model.js. */
import * as functions from "./model.js";

const model = fetch(new URL("camera-motion.safetensors", import.meta.url))
  .then((response) => response.arrayBuffer())
  .then(functions.load);

onmessage = async ({ data: { id, name, argument } }) => {
  try {
    const loaded = await model;
    postMessage({ id, result: name === "about" ? loaded.about : functions[name](loaded, argument) });
  } catch (error) {
    postMessage({ id, error: String(error) });
  }
};
