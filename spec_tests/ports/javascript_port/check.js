/** Check the port with the vectors in a folder: node check.js FOLDER */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { readFile } from "./file.js";
import { judgedCases } from "./vectors.js";

const [folder] = process.argv.slice(2);
if (!folder || !existsSync(join(folder, "index.json"))) {
  console.error("usage: node check.js FOLDER (timesformer-ref vectors FOLDER writes it)");
  process.exit(2);
}

let passed = 0, failed = 0;
for await (const { row, wrong } of judgedCases((path) => readFile(join(folder, path)))) {
  if (wrong) console.log(`${row.name}: ${wrong}`);
  wrong ? failed++ : passed++;
}
console.log(`${passed} cases passed, ${failed} failed`);
process.exitCode = failed ? 1 : 0;
