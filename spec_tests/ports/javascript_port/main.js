/** The line protocol of docs/ports.md: a line names three files, the answer is
    the line `done`. */
import { writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { readFile } from "./file.js";
import { respond } from "./port.js";
import { parse, serialise } from "./safetensors.js";

let kept = {}; // the weights of the last request, which the next one often has too

function weightsOf(path) {
  if (path && path !== kept.path) kept = { path, tensors: parse(readFile(path)).tensors };
  return path ? kept.tensors : undefined;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [weights, request, response] = line.split("\t");
  const answer = respond(parse(readFile(request)), weightsOf(weights));
  writeFileSync(response, Buffer.concat(serialise(answer)));
  process.stdout.write("done\n");
}
