/** Safetensors files: a length in 8 bytes, a JSON header of that length, the
    tensors' bytes. */
import { tensor } from "./tensor.js";

const ARRAYS = {
  F16: Uint16Array,
  F32: Float32Array,
  F64: Float64Array,
  I64: BigInt64Array,
  U8: Uint8Array,
};

/** The metadata and, by name, the tensors in an ArrayBuffer. Half floats
    become float32. */
export function parse(buffer) {
  const length = Number(new DataView(buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(new Uint8Array(buffer, 8, length));
  const { __metadata__: metadata = {}, ...entries } = JSON.parse(text);
  const tensors = {};
  for (const [name, { dtype, shape, data_offsets: places }] of Object.entries(entries)) {
    const [begin, end] = places.map((place) => 8 + length + place);
    const data = new ARRAYS[dtype](buffer.slice(begin, end));
    tensors[name] = tensor(shape, dtype === "F16" ? Float32Array.from(data, widened) : data);
  }
  return { metadata, tensors };
}

/** A half float, of which these are the bits: sign, 5 of the exponent, 10 of
    the fraction. */
function widened(bits) {
  const sign = bits >> 15 ? -1 : 1, exponent = (bits >> 10) & 31, fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? 1024 + fraction : fraction) * 2 ** (Math.max(exponent, 1) - 25);
}

/** The bytes of a file, in parts. */
export function serialise({ metadata = {}, tensors = {} }) {
  const header = { __metadata__: metadata };
  let end = 0;
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    const [dtype] = Object.entries(ARRAYS).find(([, type]) => data instanceof type);
    header[name] = { dtype, shape, data_offsets: [end, (end += data.byteLength)] };
  }
  const text = new TextEncoder().encode(JSON.stringify(header));
  const length = BigUint64Array.of(BigInt(text.length));
  const arrays = [length, text, ...Object.values(tensors).map(({ data }) => data)];
  return arrays.map((x) => new Uint8Array(x.buffer, x.byteOffset, x.byteLength));
}
