/** The suite's small vectors on the port, in a thread of its own: first the
    requirements with their cases, then each case as it is judged. */
import { judgedCases } from "../port/vectors.js";

const FOLDER = new URL("../vectors/", import.meta.url);
const files = new Map();

/** A file's bytes, asked for once. */
function read(path) {
  if (!files.has(path))
    files.set(path, fetch(new URL(path, FOLDER)).then((response) => response.arrayBuffer()));
  return files.get(path);
}

async function judge() {
  const { requirements, cases } = JSON.parse(new TextDecoder().decode(await read("index.json")));
  postMessage({
    requirements: Object.keys(requirements),
    cases: cases.map(({ name, requirements }) => ({ name, requirements })),
  });
  for (const { name } of cases) read(`cases/${name}.safetensors`); // ahead of the judge
  for await (const { row, wrong } of judgedCases(read)) postMessage({ name: row.name, wrong });
  postMessage({ done: true });
}

judge().catch((error) => postMessage({ error: String(error) }));
