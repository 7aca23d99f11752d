/** Whether the port is right on the suite's cases as files (docs/ports.md,
    Vectors). */
import { respond } from "./port.js";
import { parse } from "./safetensors.js";

/** Each case in order, as its row of the index and what is `wrong` about the
    port's answer, if anything is. `read` returns the ArrayBuffer of a file, or
    a promise of it, by its path in the folder of vectors. */
export async function* judgedCases(read) {
  const index = JSON.parse(new TextDecoder().decode(await read("index.json")));
  const column = index.arithmetics.indexOf("float32"), answers = {};
  const open = async (path) => {
    const buffer = await read(path);
    return { path, buffer, ...parse(buffer) };
  };
  let weights = {};
  for (const row of index.cases) {
    const request = await open(`cases/${row.name}.safetensors`);
    if (row.weights !== weights.path)
      weights = row.weights ? await open(row.weights) : {};
    const response = respond(request, weights.tensors);
    answers[row.name] = response.tensors;
    const wrong = response.tensors
      ? wrongAnswer(row, request.tensors, answers, column)
      : wrongRefusal(row, response.metadata);
    yield { row, wrong: wrong ?? changed(request) ?? changed(weights) };
  }
}

function wrongRefusal({ check, may_refuse }, { error = "not offered" }) {
  return check === "refusal" || may_refuse ? undefined : `error: ${error}`;
}

function wrongAnswer({ name, check, shapes, same_as }, asked, answers, column) {
  const answer = answers[name];
  if (check === "refusal") return "an answer, expected an error";
  for (const part in answer) if (!(part in shapes)) return `${part} is no part of the answer`;
  for (const [part, shape] of Object.entries(shapes)) {
    if (`${answer[part]?.shape}` !== `${shape}`)
      return `${part} has shape ${answer[part]?.shape}, expected ${shape}`;
    const found = Array.from(answer[part].data, Number);
    if (!found.every(Number.isFinite)) return `${part} has a number that is not finite`;
    const expected = asked[`expected.${part}`]?.data ?? []; // NaN where nothing is asked
    const right = same_as ? answers[same_as][part].data : expected;
    const bound = asked[`bound.${part}`]?.data[column];
    for (let i = 0; i < expected.length; i++)
      if (!Number.isNaN(expected[i]) && !(Math.abs(found[i] - Number(right[i])) <= bound))
        return `number ${i} of ${part} is ${found[i]}, expected ${right[i]}; the bound is ${bound}`;
  }
}

/** The first tensor of a file that is no longer as it was read. */
function changed({ tensors, buffer }) {
  for (const [name, { data }] of Object.entries(buffer ? parse(buffer).tensors : {}))
    if (!data.every((number, i) => Object.is(number, tensors[name].data[i])))
      return `${name} was changed in place`;
}
