/** The line protocol of docs/ports.md: a line names three files, the answer is the line `done`. */
import { readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { respond } from "./port.js";
import { parse, serialise } from "./safetensors.js";

function read(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return parse(buffer.slice(byteOffset, byteOffset + byteLength));
}

let kept = {}; // the weights of the last request, which the next one often has too

function weightsOf(path) {
  if (path !== kept.path) kept = { path, tensors: path ? read(path).tensors : undefined };
  return kept.tensors;
}

for await (const line of createInterface({ input: process.stdin })) {
  const [weights, request, response] = line.split("\t");
  const answer = respond(read(request), weightsOf(weights));
  writeFileSync(response, Buffer.concat(serialise(answer)));
  process.stdout.write("done\n");
}
