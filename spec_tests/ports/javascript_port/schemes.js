import { refuse } from "./refusal.js";

/** Which patches form a group, as einops patterns: from their order in a
    sequence (row by row, time fastest) to groups and members. An axis of two
    letters has length 2 (paper, section 3). */
export const STEPS = {
  spatial: "h w t -> (t) (h w)",
  joint: "h w t -> () (h w t)",
  temporal: "h w t -> (h w) (t)",
  width: "h w t -> (t h) (w)",
  height: "h w t -> (t w) (h)",
  local: "wh h ww w t -> (wh ww) (t h w)",
  global: "h sh w sw t st -> (st sh sw) (t h w)",
};

/** The steps of a block, in order, by `attention_type` (paper, figures 1 and
    2). */
export const SCHEMES = {
  space_only: ["spatial"],
  joint_space_time: ["joint"],
  divided_space_time: ["temporal", "spatial"],
  sparse_local_global: ["local", "global"],
  axial: ["temporal", "width", "height"],
};

/** For each group of a step, its patches' places in a sequence: class token,
    then h w t patches. */
export function groupTokens(step, grid) {
  const { sequence, groups, members } = axesOf(step);
  const lengths = Object.fromEntries(
    sequence.map((axis) => [axis, lengthOf(axis, sequence, grid)]),
  );
  const strides = {};
  sequence.reduceRight((stride, axis) => {
    strides[axis] = stride;
    return stride * lengths[axis];
  }, 1);
  const places = (axes) =>
    axes.reduce(
      (found, axis) =>
        found.flatMap((place) => range(place, lengths[axis], strides[axis])),
      [0],
    );
  return places(groups).map((first) =>
    places(members).map((place) => 1 + first + place));
}

/** Whether no step looks across frames, so that each frame is a clip of its
    own. */
export function separateFrames({ attention_type }) {
  return SCHEMES[attention_type].every((step) => axesOf(step).groups.includes("t"));
}

function axesOf(step) {
  const [sequence, groups, members] = STEPS[step].split(/ -> \(|\) \(|\)/);
  const names = (axes) => axes.split(" ").filter(Boolean);
  return { sequence: names(sequence), groups: names(groups), members: names(members) };
}

function lengthOf(axis, sequence, { t, h, w }) {
  if (axis.length === 2) return 2;
  const isCut = sequence.some((other) => other.length === 2 && other.endsWith(axis));
  const length = { t, h, w }[axis] / (isCut ? 2 : 1);
  if (!Number.isInteger(length))
    refuse(`${t} frames of ${h} x ${w} patches cannot be halved on each axis that the scheme cuts`);
  return length;
}

function range(first, length, stride) {
  return Array.from({ length }, (_, i) => first + i * stride);
}
