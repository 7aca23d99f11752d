import { readFileSync } from "node:fs";

/** A file's bytes as an ArrayBuffer of their own. */
export function readFile(path) {
  const { buffer, byteOffset, byteLength } = readFileSync(path);
  return buffer.slice(byteOffset, byteOffset + byteLength);
}
