"""All mutants: the guilty block, the mistake in a sentence, and the patches that make it.

Most mistakes were found in public ports of TimeSformer; the subtler ones are those of a port that
is nearly right.
"""

from __future__ import annotations

from typing import NamedTuple

CONFIG = "timesformer_ref/config.py"
SCHEMES = "timesformer_ref/schemes.py"
WEIGHTS = "timesformer_ref/weights.py"
LAYERS = "timesformer_ref/numpy_blocks/layers.py"
PATCHIFY = "timesformer_ref/numpy_blocks/patchify.py"
TIME = "timesformer_ref/numpy_blocks/time_embedding.py"
ATTENTION = "timesformer_ref/numpy_blocks/divided_attention.py"
CLASSIFIER = "timesformer_ref/numpy_blocks/classifier.py"
MODEL = "timesformer_ref/numpy_blocks/model.py"
BACKWARD = "spec_tests/harness/backward.py"
INITIALISE = "timesformer_ref/checkpoints/initialise.py"
SAMPLING = "timesformer_ref/input/sampling.py"
VIEWS = "timesformer_ref/input/views.py"
PORT = "spec_tests/ports/numpy_port.py"


class Patch(NamedTuple):
    """`old`, which `file` holds exactly once (after the patches before), becomes `new`."""

    file: str
    old: str
    new: str


class Mutant(NamedTuple):
    """A correct port with one mistake.

    group: prefixes of the requirements of the guilty block (several where schemes share a step);
        what is built on that block (model, gradients) may break too.
    mistake: what it does wrong, in a sentence.
    patches: changes to the source of the correct port, applied one after another.
    evidence: what gives it away: its `answer`; or a `statistic`, a `state` or a `refusal` (or an
        answer that is not finite), and then the requirement made for it.
    """

    name: str
    group: str
    mistake: str
    patches: tuple[Patch, ...]
    evidence: str = "answer"


def mutant(
    name: str, group: str, mistake: str, *patches: Patch, evidence: str = "answer"
) -> Mutant:
    return Mutant(name, group, mistake, patches, evidence)


# fmt: off
MUTANTS: tuple[Mutant, ...] = (
    # Patches
    mutant("patch-bias-missing", "PATCH", "The patch projection has no bias",
        Patch(PATCHIFY,
            "linear(patch_pixels(video, config), layer)",
            "linear(patch_pixels(video, config), layer, bias=False)")),
    mutant("patch-pixels-transposed", "PATCH", "A patch's pixels are read column by column",
        Patch(PATCHIFY, "(h w) (c p q)", "(h w) (c q p)")),
    mutant("patch-pixels-channels-last", "PATCH",
        "A patch's pixels have their channels last, the weights theirs first",
        Patch(PATCHIFY, "(h w) (c p q)", "(h w) (p q c)")),
    mutant("patches-by-column", "PATCH", "Width and height swapped: patches go column by column",
        Patch(PATCHIFY, "(h w) (c p q)", "(w h) (c p q)")),
    mutant("patches-reshaped", "PATCH", "Frames become patches by a reshape that moves no axis",
        Patch(PATCHIFY,
            "rearrange(whole, pattern, p=p, q=p)",
            "whole.reshape(*whole.shape[:2], h * w, -1)")),
    mutant("remainder-padded", "PATCH",
        "Frames that are no whole number of patches are padded with zeros, not cut",
        Patch(PATCHIFY, "    patches = patch_embed(video, weights, config)\n", """\
    short = [-size % config.patch_size for size in video.shape[-2:]]
    video = np.pad(video, [(0, 0)] * 3 + [(0, n) for n in short])
    patches = patch_embed(video, weights, config)
"""),
        Patch(MODEL, "    grid = config.clip_grid(video.shape)\n", """\
    short = [-size % config.patch_size for size in video.shape[-2:]]
    video = np.pad(video, [(0, 0)] * 3 + [(0, n) for n in short])
    grid = config.clip_grid(video.shape)
""")),
    mutant("remainder-refused", "PATCH", "Frames that are no whole number of patches are an error",
        Patch(PATCHIFY, "    whole = video[..., : h * p, : w * p]\n", """\
    if video.shape[-2] % p or video.shape[-1] % p:
        raise ValueError(f"frames are no multiple of {p} pixels")
    whole = video
"""),
        evidence="refusal PATCH-3"),
    mutant("channel-axis-guessed", "PATCH",
        "A clip of as many frames as channels is taken to have the channels first",
        Patch(PATCHIFY, "    whole = video[..., : h * p, : w * p]\n", """\
    if video.shape[1] == video.shape[2]:
        video = video.swapaxes(1, 2)
    whole = video[..., : h * p, : w * p]
""")),

    # Class token
    mutant("class-token-without-position", "CLS", "The class token gets no position",
        Patch(PATCHIFY,
            "    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]", """\
    tokens[:, :, 1:] += pos_embed[0, positions(pos_embed.shape[1], h, w)[1:]]
    return tokens""")),
    mutant("class-token-not-learnt", "CLS", "The class token is zeros, not its weight",
        Patch(PATCHIFY, 'weights["cls_token"]', 'np.zeros_like(weights["cls_token"])')),

    # Positions and their resize
    mutant("positions-per-frame-and-patch", "POS TIME",
        "One table for every patch of every frame, resized to their number; no time of its own",
        Patch(PATCHIFY,
            "    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]", """\
    place = 1 + nearest(pos_embed.shape[1] - 1, t * h * w).reshape(t, h * w)
    return tokens + pos_embed[0, np.insert(place, 0, 0, axis=1)]"""),
        Patch(TIME, '"b t n d -> b n t d") + time', '"b t n d -> b n t d")')),
    mutant("nearest-rounds", "POS TIME", "Nearest resize rounds the source index, not down",
        Patch(LAYERS, "np.floor(", "np.rint(")),
    mutant("nearest-aligns-corners", "POS TIME",
        "Nearest resize maps the last place to the last place (align_corners)",
        Patch(LAYERS, "np.floor(places * ratio)",
            "np.rint(np.arange(new_size) * ((size - 1) / max(new_size - 1, 1)))")),
    mutant("positions-exact", "POS", "Positions are resized by exact integer arithmetic",
        Patch(PATCHIFY, "nearest(side, h)[:, None] + nearest(side, w)",
            "(np.arange(h) * side // h)[:, None] + np.arange(w) * side // w")),
    mutant("nearest-product-unrounded", "POS TIME",
        "A resized place is a float32 ratio times an integer, in float64: not rounded again",
        Patch(LAYERS,
            "np.arange(new_size, dtype=np.float32)", "np.arange(new_size, dtype=np.float64)")),
    mutant("positions-bilinear", "POS", "Positions are resized bilinearly, not nearest",
        Patch(PATCHIFY,
            "    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]", """\
    from scipy.ndimage import zoom

    if pos_embed.shape[1] == 1 + h * w:
        return tokens + pos_embed
    side = isqrt(pos_embed.shape[1] - 1)
    square = pos_embed[0, 1:].reshape(side, side, -1)
    places = zoom(square, (h / side, w / side, 1), order=1, mode="nearest", grid_mode=True)
    return tokens + np.concatenate([pos_embed[0, :1], places.reshape(h * w, -1)])""")),
    mutant("positions-flattened", "POS", "Positions are resized over the flattened table, in 1-D",
        Patch(PATCHIFY,
            '[[0], rearrange(grid, "h w -> (h w)")]', "[[0], 1 + nearest(patches, h * w)]")),
    mutant("positions-with-class-entry", "POS",
        "The class token's entry takes part in the resize of the table",
        Patch(PATCHIFY, 'np.concatenate([[0], rearrange(grid, "h w -> (h w)")])',
            "nearest(places, 1 + h * w)")),
    mutant("positions-by-shape", "POS",
        "The table is also resized where the number of patches is right but their shape is another",
        Patch(PATCHIFY, "if patches == h * w:", "if patches == h * w == h * h:")),
    mutant("positions-transposed", "POS", "A table that is resized is read column by column",
        Patch(PATCHIFY, "1 + side * nearest(side, h)[:, None] + nearest(side, w)",
            "1 + nearest(side, h)[:, None] + side * nearest(side, w)")),
    mutant("positions-height-width-swapped", "POS",
        "A table that is resized is resized to w x h, not h x w",
        Patch(PATCHIFY, "nearest(side, h)[:, None] + nearest(side, w)",
            "nearest(side, w)[:, None] + nearest(side, h)")),

    # Time and its resize
    mutant("time-prefix", "TIME",
        "The time table is cut to the clip's length, not resized: a longer clip is an error",
        Patch(TIME, "[0, nearest(trained, t)]", "[0, :t]")),
    mutant("time-last-repeated", "TIME",
        "The time table is cut, or its last entry repeated, not resized",
        Patch(TIME, "nearest(trained, t)]", "np.minimum(np.arange(t), trained - 1)]")),
    mutant("time-repeated", "TIME",
        "A clip of a multiple of the trained frames gets the time table repeated as a whole",
        Patch(TIME,
            "nearest(trained, t)]",
            "nearest(trained, t) if t % trained else np.arange(t) % trained]")),
    mutant("time-exact", "TIME", "The time table is resized by exact integer arithmetic",
        Patch(TIME, "nearest(trained, t)]", "np.arange(t) * trained // t]")),
    mutant("time-on-class-token", "TIME", "The class token gets the first frame's time",
        Patch(TIME, "[class_token, patches]", "[class_token + time[0], patches]")),
    mutant("time-reshaped", "TIME",
        "Frames and patches change places by a reshape that moves no axis",
        Patch(TIME, 'rearrange(patches, "b t n d -> b n t d") + time',
            "patches.reshape(len(patches), -1, *patches.shape[1::2]) + time")),
    mutant("time-slowest", "TIME DIV LG AXIAL",
        "Tokens between blocks lie frame by frame, time slowest; the logits are right",
        Patch(TIME, "b n t d -> b (n t) d", "b n t d -> b (t n) d"),
        Patch(BACKWARD, "b (n t) d -> b t n d", "b (t n) d -> b t n d"),
        Patch(SCHEMES, '"""Every attention step by name', r'''STEPS = {
    name: Step(re.sub(r"^b \((.*?) (t|t st)\)", r"b (\2 \1)", step.group), step.splits)
    for name, step in STEPS.items()
}
"""Every attention step by name''')),
    mutant("clips-of-the-trained-length", "TIME MODEL",
        "The frames of a batch are cut into clips of the config's number of frames",
        Patch(TIME, "    class_token, patches = frames[:, 0, :1], frames[:, :, 1:]\n", """\
    frames = frames.reshape(-1, config.num_frames, *frames.shape[2:])
    class_token, patches = frames[:, 0, :1], frames[:, :, 1:]
""")),

    # LayerNorm
    mutant("eps-1e-5", "NORM", "LayerNorm's epsilon is PyTorch's default, 1e-5",
        Patch(LAYERS, "np.sqrt(variance + eps)", "np.sqrt(variance + 1e-5)")),
    mutant("eps-1e-3", "NORM", "LayerNorm's epsilon is Keras's default, 1e-3",
        Patch(LAYERS, "np.sqrt(variance + eps)", "np.sqrt(variance + 1e-3)")),
    mutant("eps-fixed", "NORM", "LayerNorm's epsilon is always 1e-6, whatever the config says",
        Patch(LAYERS, "np.sqrt(variance + eps)", "np.sqrt(variance + 1e-6)")),
    mutant("eps-1e-5-earlier-norm", "NORM DIV LG AXIAL",
        "The norm before an earlier step (temporal_norm1) has epsilon 1e-5",
        Patch(ATTENTION, 'f"{step}_norm1"), eps', 'f"{step}_norm1"), 1e-5')),
    mutant("eps-1e-5-norm1", "NORM SPACE JOINT DIV LG AXIAL",
        "The norm before the last step (norm1) has epsilon 1e-5",
        Patch(ATTENTION, '"norm1"), eps', '"norm1"), 1e-5')),
    mutant("eps-1e-5-norm2", "NORM MLP", "The norm before the MLP (norm2) has epsilon 1e-5",
        Patch(ATTENTION, '"norm2"), eps', '"norm2"), 1e-5')),
    mutant("eps-1e-5-last-norm", "NORM HEAD", "The last norm (norm) has epsilon 1e-5",
        Patch(CLASSIFIER, '"norm"), eps', '"norm"), 1e-5')),
    mutant("eps-outside-root", "NORM",
        "LayerNorm adds epsilon to the standard deviation, outside the root",
        Patch(LAYERS, "np.sqrt(variance + eps)", "(np.sqrt(variance) + eps)")),
    mutant("variance-unbiased", "NORM", "LayerNorm's variance is the unbiased one, over d - 1",
        Patch(LAYERS, "np.square(centred).mean(axis=-1, keepdims=True)",
            "centred.var(axis=-1, keepdims=True, ddof=1)")),
    mutant("variance-in-one-pass", "NORM",
        "LayerNorm's variance is the mean of squares less the square of the mean, which cancel",
        Patch(LAYERS, "np.square(centred).mean(axis=-1, keepdims=True)",
            "(np.square(x).mean(axis=-1, keepdims=True) - np.square(x - centred))"),
        evidence="statistic NORM-1"),
    mutant("norm-over-tokens-and-width", "NORM",
        "LayerNorm's mean and variance are of all tokens of a sequence, not of each",
        Patch(LAYERS,
            "x - x.mean(axis=-1, keepdims=True)", "x - x.mean(axis=(-2, -1), keepdims=True)"),
        Patch(LAYERS, "np.square(centred).mean(axis=-1, keepdims=True)",
            "np.square(centred).mean(axis=(-2, -1), keepdims=True)")),
    mutant("norm-without-weights", "NORM", "LayerNorm has no scale and shift",
        Patch(LAYERS,
            'np.sqrt(variance + eps) * w["weight"] + w["bias"]', "np.sqrt(variance + eps)")),
    mutant("norm-on-step-result", "NORM DIV LG AXIAL",
        "The norm of an earlier step is on its result, not on what enters it",
        Patch(ATTENTION,
            'layer_norm(groups, part(w, f"{step}_norm1"), eps)', "groups"),
        Patch(ATTENTION, '    update = linear(update, part(w, f"{step}_fc"))', """\
    update = layer_norm(update, part(w, f"{step}_norm1"), eps)
    update = linear(update, part(w, f"{step}_fc"))""")),
    mutant("norm-after-residual", "NORM MLP",
        "The norm of the MLP is after its residual (post-norm), not before it",
        Patch(ATTENTION, 'layer_norm(tokens, part(w, "norm2"), eps)', "tokens"),
        Patch(ATTENTION, 'return tokens + mlp(normed, part(w, "mlp"))', """\
after = tokens + mlp(normed, part(w, "mlp"))
    return layer_norm(after, part(w, "norm2"), eps)""")),

    # The attention layer
    mutant("qkv-bias-missing", "ATT", "Queries, keys and values have no bias",
        Patch(LAYERS, 'bias="qkv.bias" in w', "bias=False")),
    mutant("qkv-by-head", "ATT",
        "The qkv layer is read head by head, each with its queries, keys and values",
        Patch(LAYERS, '"g s (three a k) -> three', '"g s (a three k) -> three')),
    mutant("qkv-reshaped", "ATT",
        "Queries, keys, values and heads are split by a reshape that moves no axis",
        Patch(LAYERS, "rearrange(qkv, pattern, three=3, a=heads)",
            "qkv.reshape(3, len(x), heads, x.shape[1], -1)")),
    mutant("heads-interleaved", "ATT",
        "Every heads-th number belongs to a head (k a, not a k), in the split and in the merge",
        Patch(LAYERS, '"g s (three a k) -> three', '"g s (three k a) -> three'),
        Patch(LAYERS, "g a s k -> g s (a k)", "g a s k -> g s (k a)")),
    mutant("heads-merged-by-reshape", "ATT",
        "Heads are merged by a reshape that is not the inverse of their split",
        Patch(LAYERS,
            'rearrange(attention @ v, "g a s k -> g s (a k)")',
            "(attention @ v).reshape(x.shape)")),
    mutant("heads-never-split", "ATT", "All heads are one, as wide as the token",
        Patch(LAYERS, "three=3, a=heads)", "three=3, a=1)")),
    mutant("scale-missing", "ATT", "Attention scores are not scaled",
        Patch(LAYERS, "q @ k.mT / sqrt(q.shape[-1])", "q @ k.mT")),
    mutant("scale-by-token-width", "ATT",
        "Attention scores are divided by the root of the token's width, not of the head's",
        Patch(LAYERS, "sqrt(q.shape[-1])", "sqrt(x.shape[-1])")),
    mutant("scale-without-root", "ATT",
        "Attention scores are divided by the head's width, not by its root",
        Patch(LAYERS, "sqrt(q.shape[-1])", "q.shape[-1]")),
    mutant("softmax-overflows", "ATT",
        "Softmax does not subtract the maximum, so that it overflows",
        Patch(LAYERS, "np.exp(x - x.max(axis=-1, keepdims=True))", "np.exp(x)"),
        evidence="refusal ATT-4"),
    mutant("softmax-overflows-in-time", "ATT",
        "Softmax does not subtract the maximum in a block's earlier steps (temporal)",
        Patch(ATTENTION, """\
    attn = part(w, f"{step}_attn")
    update, attention = self_attention(normed, attn, heads)
""", """\
    qkv = linear(normed, part(w, f"{step}_attn.qkv"))
    q, k, v = rearrange(qkv, "g s (three a k) -> three g a s k", three=3, a=heads)
    attention = np.exp(q @ k.mT / np.sqrt(q.shape[-1]).astype(q.dtype))
    attention /= attention.sum(axis=-1, keepdims=True)
    mixed = rearrange(attention @ v, "g a s k -> g s (a k)")
    update = linear(mixed, part(w, f"{step}_attn.proj"))
"""),
        evidence="refusal ATT-4"),
    mutant("softmax-over-queries", "ATT", "Softmax runs over the queries, not over the keys",
        Patch(LAYERS,
            "softmax(q @ k.mT / sqrt(q.shape[-1]))", "softmax(k @ q.mT / sqrt(q.shape[-1])).mT")),
    mutant("softmax-over-heads", "ATT", "Softmax runs over the heads, not over the keys",
        Patch(LAYERS, "    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))\n", """\
    scores = np.moveaxis(q @ k.mT / sqrt(q.shape[-1]), 1, -1)
    attention = np.moveaxis(softmax(scores), -1, 1)
""")),
    mutant("softmax-over-batch", "ATT",
        "Softmax runs over the groups of the batch, not over the keys",
        Patch(LAYERS, "softmax(q @ k.mT / sqrt(q.shape[-1]))",
            "softmax((q @ k.mT / sqrt(q.shape[-1])).T).T")),
    mutant("softmax-of-one", "ATT", "Softmax runs over an axis of one element: all weights are 1",
        Patch(LAYERS, "softmax(q @ k.mT / sqrt(q.shape[-1]))",
            "softmax((q @ k.mT / sqrt(q.shape[-1]))[..., None])[..., 0]")),
    mutant("softmax-in-half-precision", "ATT MODEL", "Softmax runs in float16 in a float32 port",
        Patch(LAYERS, "np.exp(x - x.max(axis=-1, keepdims=True))",
            "np.exp(np.float16(x - x.max(axis=-1, keepdims=True))).astype(x.dtype)"),
        evidence="statistic MODEL-5"),
    mutant("linear-in-half-precision", "PATCH ATT MLP HEAD MODEL",
        "Linear layers round their input and weights to float16 in a float32 port",
        Patch(LAYERS, 'y = np.tensordot(x, w["weight"], axes=(-1, -1))', """\
inputs, matrix = (np.float16(n).astype(x.dtype) for n in (x, w["weight"]))
    y = np.tensordot(inputs, matrix, axes=(-1, -1))"""),
        evidence="statistic MODEL-5"),

    # The steps of the schemes
    mutant("fc-missing", "DIV LG AXIAL",
        "temporal_fc, the linear layer after the step, is not used",
        Patch(ATTENTION, 'linear(update, part(w, f"{step}_fc"))', "update")),
    mutant("fc-bias-missing", "DIV LG AXIAL", "temporal_fc has no bias",
        Patch(ATTENTION, 'linear(update, part(w, f"{step}_fc"))',
            'linear(update, part(w, f"{step}_fc"), bias=False)')),
    mutant("fc-around-residual", "DIV LG AXIAL",
        "temporal_fc is applied to patches and result together, after the residual",
        Patch(ATTENTION, 'linear(update, part(w, f"{step}_fc"))', "update"),
        Patch(ATTENTION, """\
    patches = patches + rearrange(update, rule.ungroup, **lengths)
""", """\
    patches = patches + rearrange(update, rule.ungroup, **lengths)
    patches = linear(patches, part(w, f"{step}_fc"))
""")),
    mutant("temporal-residual-missing", "DIV LG AXIAL",
        "An earlier step (temporal) has no residual",
        Patch(ATTENTION, "patches + rearrange(update,", "rearrange(update,")),
    mutant("temporal-residual-of-normed", "NORM DIV LG AXIAL",
        "An earlier step (temporal) adds its result to its normed input",
        Patch(ATTENTION,
            "patches + rearrange(update", "rearrange(normed + update")),
    mutant("spatial-result-on-block-input", "DIV LG AXIAL",
        "The last step's result is added to the block's input, not to the step before's output",
        Patch(ATTENTION, """\
    attentions = {}
    for step in config.steps:
        after = attention_step(tokens, w, config, grid, step)
        tokens, attentions[step] = after
""", """\
    attentions, start = {}, tokens
    for step in config.steps:
        before = tokens
        tokens, attentions[step] = attention_step(tokens, w, config, grid, step)
    tokens = tokens - before + start
""")),
    mutant("steps-in-parallel", "DIV LG AXIAL",
        "All steps of a block get the block's input; their results are added up",
        Patch(ATTENTION, """\
    attentions = {}
    for step in config.steps:
        after = attention_step(tokens, w, config, grid, step)
        tokens, attentions[step] = after
""", """\
    attentions, start = {}, tokens
    for step in config.steps:
        after, attentions[step] = attention_step(start, w, config, grid, step)
        tokens = tokens + after - start
""")),
    mutant("space-before-time", "DIV", "Spatial attention runs before temporal attention",
        Patch(ATTENTION, "for step in config.steps:",
            'for step in config.steps[::-1] if "spatial" in config.steps else config.steps:')),
    mutant("temporal-qkv-shared", "DIV LG AXIAL",
        "Earlier steps (temporal) have the last step's queries, keys and values",
        Patch(ATTENTION, 'part(w, f"{step}_attn")',
            'part(w, f"{step}_attn") | {n: m for n, m in part(w, "attn").items() if n[0] == "q"}')),
    mutant("temporal-proj-shared", "DIV LG AXIAL",
        "Earlier steps (temporal) have the last step's projection of the heads' results",
        Patch(ATTENTION, 'part(w, f"{step}_attn")',
            'part(w, f"{step}_attn") | {n: m for n, m in part(w, "attn").items() if n[0] == "p"}')),
    mutant("class-token-in-time", "DIV LG AXIAL",
        "Patches attend to the class token in earlier steps (temporal) too (paper, eq. 11)",
        Patch(ATTENTION, '    normed = layer_norm(groups, part(w, f"{step}_norm1")', """\
    copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=len(groups) // len(tokens))
    groups = np.concatenate([copies, groups], axis=1)
    normed = layer_norm(groups, part(w, f"{step}_norm1")"""),
        Patch(ATTENTION, 'linear(update, part(w, f"{step}_fc"))',
            'linear(update[:, 1:], part(w, f"{step}_fc"))')),
    mutant("class-token-in-local-step", "LG",
        "The class token takes part in the local step too, and is updated by it",
        Patch(ATTENTION, '    normed = layer_norm(groups, part(w, f"{step}_norm1")', """\
    if step == "local":
        copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=len(groups) // len(tokens))
        groups = np.concatenate([copies, groups], axis=1)
    normed = layer_norm(groups, part(w, f"{step}_norm1")"""),
        Patch(ATTENTION, "    patches = patches + rearrange(update, rule", """\
    if step == "local":
        change = reduce(update[:, :1], "(b g) 1 d -> b 1 d", "mean", b=len(tokens))
        class_token, update = class_token + change, update[:, 1:]
    patches = patches + rearrange(update, rule""")),
    mutant("class-token-queries-all-at-once", "DIV LG AXIAL",
        "The class token queries all patches of the clip at once, instead of copies, averaged",
        Patch(ATTENTION,
            '    mean = reduce(copies, "(b g) 1 d -> b 1 d", "mean", g=per_clip)',
            """\
    everyone = layer_norm(tokens, part(w, "norm1"), config.layer_norm_eps)
    together, _ = self_attention(everyone, part(w, "attn"), heads)
    mean = together[:, :1]""")),
    mutant("class-token-isolated", "SPACE JOINT DIV LG AXIAL",
        "The class token takes part in no attention at all",
        Patch(ATTENTION, "    groups = np.concatenate([copies, groups], axis=1)\n", ""),
        Patch(ATTENTION, "    copies, patches = update[:, :1], update[:, 1:]\n",
            "    copies, patches = np.zeros_like(copies), update\n")),
    mutant("class-token-in-every-frame", "CLS TIME DIV HEAD",
        "With divided attention every frame keeps a class token of its own; the head averages them",
        Patch(TIME, "frames[:, 0, :1], frames[:, :, 1:]\n", """frames[:, 0, :1], frames[:, :, 1:]
    if config.attention_type == "divided_space_time":
        class_token = frames[:, :, 0]
"""),
        Patch(ATTENTION, """\
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    normed""", """\
    n = grid[0] if config.attention_type == "divided_space_time" else 1
    class_token, patches = tokens[:, :n], tokens[:, n:]
    groups = rearrange(patches, rule.group, **lengths)
    normed"""),
        Patch(ATTENTION, """\
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    groups = rearrange(patches, rule.group, **lengths)
    per_clip = len(groups) // len(tokens)
    copies = repeat(class_token, "b 1 d -> (b g) 1 d", g=per_clip)
""", """\
    n = grid[0] if config.attention_type == "divided_space_time" else 1
    class_token, patches = tokens[:, :n], tokens[:, n:]
    groups = rearrange(patches, rule.group, **lengths)
    per_clip = len(groups) // len(tokens) // n
    copies = repeat(class_token, "b n d -> (b n g) 1 d", g=per_clip)
"""),
        Patch(ATTENTION, '"(b g) 1 d -> b 1 d", "mean", g=per_clip',
            '"(b n g) 1 d -> b n d", "mean", g=per_clip, n=n'),
        Patch(CLASSIFIER, "    return linear(normed[:, 0],", """\
    n = frames if config.attention_type == "divided_space_time" else 1
    return linear(normed[:, :n].mean(axis=1),""")),
    mutant("class-copies-summed", "DIV LG AXIAL",
        "The updates of the class token's copies are summed, not averaged",
        Patch(ATTENTION, '"mean", g=per_clip', '"sum", g=per_clip')),
    mutant("class-copy-of-first-frame", "DIV LG AXIAL",
        "The first frame's copy of the class token is returned, not the average of all copies",
        Patch(ATTENTION, 'reduce(copies, "(b g) 1 d -> b 1 d", "mean", g=per_clip)',
            'rearrange(copies, "(b g) 1 d -> b g d", g=per_clip)[:, :1]')),
    mutant("class-copies-across-batch", "DIV LG AXIAL PROP",
        "The copies of the class token are averaged with batch and frames swapped: clips mix",
        Patch(ATTENTION, 'reduce(copies, "(b g) 1 d', 'reduce(copies, "(g b) 1 d')),
    mutant("class-token-residual-missing", "SPACE JOINT DIV LG AXIAL",
        "The average of the class token's copies replaces it, without a residual",
        Patch(ATTENTION, "[mean, patches]", "[mean - class_token, patches]")),
    mutant("temporal-frames-fixed", "DIV LG AXIAL MODEL",
        "Earlier steps (temporal) take the number of frames from the config: another one raises",
        Patch(ATTENTION, """\
    groups = rearrange(patches, rule.group, **lengths)
    normed""", """\
    lengths["t"] = config.num_frames
    groups = rearrange(patches, rule.group, **lengths)
    normed"""),
        evidence="refusal MODEL-3"),
    mutant("temporal-frames-from-config", "DIV AXIAL MODEL",
        "The temporal step takes the number of frames from the config: wrong where it divides",
        Patch(ATTENTION, """\
    groups = rearrange(patches, rule.group, **lengths)
    normed""", """\
    if step == "temporal":  # rows are then found from the tokens
        lengths = {"b": len(tokens), "w": lengths["w"], "t": config.num_frames}
    groups = rearrange(patches, rule.group, **lengths)
    normed""")),
    mutant("spatial-frames-from-config", "DIV MODEL",
        "The spatial step takes the number of frames from the config: wrong where it divides",
        Patch(ATTENTION, """\
    groups = rearrange(patches, rule.group, **lengths)
    per_clip""", """\
    if config.steps == ("temporal", "spatial"):  # rows are then found from the tokens
        lengths = {"b": len(tokens), "w": lengths["w"], "t": config.num_frames}
    groups = rearrange(patches, rule.group, **lengths)
    per_clip""")),
    mutant("grid-from-config", "SPACE DIV LG AXIAL MODEL",
        "Steps take the rows and columns of patches from the config: wrong or an error",
        Patch(ATTENTION,
            "run(tokens, w, config, grid, step)", "run(tokens, w, config, config.grid, step)")),
    mutant("space-only-not-averaged", "SPACE HEAD",
        "The frames of a space-only model are not averaged: logits of every frame",
        Patch(CLASSIFIER,
            'tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)', "pass")),
    mutant("space-only-averaged-after-norm", "SPACE HEAD",
        "The frames of a space-only model are averaged after the last norm, not before",
        Patch(CLASSIFIER, """\
        tokens = reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)
""", """\
        normed = layer_norm(tokens, part(weights, "norm"), config.layer_norm_eps)
        return reduce(normed, "(b t) s d -> b s d", "mean", t=frames)
""")),
    mutant("space-only-probabilities-averaged", "SPACE HEAD",
        "A space-only model averages the probabilities of its frames",
        Patch(CLASSIFIER, "    normed = final_norm(", """\
    if config.separate_frames:
        normed = layer_norm(tokens[:, 0], part(weights, "norm"), config.layer_norm_eps)
        e = np.exp(linear(normed, part(weights, "head")))
        return reduce(e / e.sum(axis=1, keepdims=True), "(b t) l -> b l", "mean", t=frames)
    normed = final_norm(""")),
    mutant("space-only-averaged-first", "SPACE TIME",
        "The frames of a space-only model are averaged before the blocks",
        Patch(TIME, "    if config.separate_frames:\n", """\
    if config.separate_frames:
        frames = np.broadcast_to(frames.mean(axis=1, keepdims=True), frames.shape)
""")),
    mutant("joint-within-frames", "JOINT",
        "In joint attention tokens attend to their own frame only",
        Patch(SCHEMES, '"b (h w t) d -> (b) (h w t) d"', '"b (h w t) d -> (b t) (h w) d"')),
    mutant("local-strided", "LG", "A local group is every second row and column, not a quarter",
        Patch(SCHEMES, '"b (wh h ww w t) d ->', '"b (h wh w ww t) d ->')),
    mutant("global-contiguous", "LG",
        "A global group is an eighth of the clip, not a stride through it",
        Patch(SCHEMES, '"b (h sh w sw t st) d ->', '"b (sh h sw w st t) d ->')),
    mutant("global-before-local", "LG", "The global step runs before the local one",
        Patch(ATTENTION, "for step in config.steps:",
            'for step in config.steps[::-1] if "local" in config.steps else config.steps:')),
    mutant("axial-height-before-width", "AXIAL", "The height step runs before the width step",
        Patch(ATTENTION, "for step in config.steps:",
            "for step in config.steps[:1] + config.steps[:0:-1]:")),
    mutant("axial-weights-shared", "AXIAL",
        "The width step has the height step's attention weights",
        Patch(ATTENTION,
            'part(w, f"{step}_attn")', 'part(w, "attn" if step == "width" else f"{step}_attn")')),
    mutant("grid-transposed", "LG AXIAL",
        "Rows and columns of the grid are swapped in the groupings",
        Patch(SCHEMES,
            '"h": grid[1] // cut_h, "w": grid[2] // cut_w',
            '"h": grid[2] // cut_w, "w": grid[1] // cut_h')),

    # The MLP
    mutant("gelu-tanh", "MLP", "GELU by its tanh approximation",
        Patch(LAYERS, "x * (1 + erf(x / sqrt(2))) / 2",
            "x * (1 + np.tanh(sqrt(2 / np.pi) * (x + 0.044715 * x**3))) / 2")),
    mutant("gelu-sigmoid", "MLP", "GELU by its sigmoid approximation",
        Patch(LAYERS, "x * (1 + erf(x / sqrt(2))) / 2", "x / (1 + np.exp(-1.702 * x))")),
    mutant("mlp-relu", "MLP", "ReLU instead of GELU",
        Patch(LAYERS, "x * (1 + erf(x / sqrt(2))) / 2", "np.maximum(x, 0)")),
    mutant("mlp-gated", "MLP", "The hidden layer gates itself: GELU of it times it (GEGLU)",
        Patch(LAYERS, "x * (1 + erf(x / sqrt(2))) / 2", "x * x * (1 + erf(x / sqrt(2))) / 2")),
    mutant("mlp-missing", "MLP", "Blocks have no MLP",
        Patch(ATTENTION, 'tokens + mlp(normed, part(w, "mlp"))', "tokens")),
    mutant("mlp-in-bfloat16", "MLP MODEL",
        "The MLP's hidden layer is cut to bfloat16 in a float32 port",
        Patch(LAYERS, 'return linear(gelu(linear(x, part(w, "fc1"))), part(w, "fc2"))', """\
hidden = gelu(linear(x, part(w, "fc1"))).astype(np.float32)
    return linear((hidden.view(np.uint32) & 0xFFFF0000).view(np.float32), part(w, "fc2"))"""),
        evidence="statistic MODEL-5"),

    # The classifier
    mutant("last-norm-missing", "HEAD", "There is no norm before the classifier",
        Patch(CLASSIFIER,
            'layer_norm(tokens, part(weights, "norm"), eps)', "tokens")),
    mutant("head-bias-missing", "HEAD", "The classifier has no bias",
        Patch(CLASSIFIER, 'part(weights, "head")', 'part(weights, "head"), bias=False')),
    mutant("head-on-mean-of-tokens", "HEAD", "The classifier gets the mean of all tokens",
        Patch(CLASSIFIER, "normed[:, 0]", "normed.mean(axis=1)")),
    mutant("head-on-mean-of-patches", "HEAD",
        "The classifier gets the mean of the patches, without the class token",
        Patch(CLASSIFIER, "normed[:, 0]", "normed[:, 1:].mean(axis=1)")),
    mutant("head-on-every-token", "HEAD", "Logits of every token are returned",
        Patch(CLASSIFIER, "normed[:, 0]", "normed")),
    mutant("probabilities", "HEAD", "Probabilities are returned, not logits",
        Patch(CLASSIFIER, "    return linear(normed", "    logits = linear(normed"),
        Patch(CLASSIFIER, 'part(weights, "head"))', """part(weights, "head"))
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)""")),

    # The whole model
    mutant("only-block-0", "MODEL", "Only the first block is run",
        Patch(MODEL, "range(config.num_hidden_layers)", "range(1)")),
    mutant("last-block-skipped", "MODEL", "The last block is not run",
        Patch(MODEL, "range(config.num_hidden_layers)", "range(config.num_hidden_layers - 1)")),
    mutant("blocks-reversed", "MODEL", "Blocks run from the last to the first",
        Patch(MODEL,
            "range(config.num_hidden_layers)", "reversed(range(config.num_hidden_layers))")),

    # Gradients
    mutant("gradient-summed", "GRAD", "Loss and gradient are sums over the batch, not means",
        Patch(BACKWARD, "- truth) / len(labels))", "- truth))"),
        Patch(CLASSIFIER, "-chosen.mean()", "-chosen.sum()")),
    mutant("gradient-of-first-time-entries", "GRAD",
        "The gradient of a resized time table goes to its first entries",
        Patch(BACKWARD,
            "nearest(trained, t), trained)", "np.minimum(np.arange(t), trained - 1), trained)")),
    mutant("gradient-of-repeated-entries", "GRAD",
        "A table's entry that is used more than once gets the gradient of one use",
        Patch(BACKWARD, "np.add.at(table[0], source, d)", "table[0, source] += d")),
    mutant("gradient-of-class-copies", "GRAD",
        "In the backward pass the class token's copies are not divided by their number",
        Patch(BACKWARD, "d[:, :1] / per_clip", "d[:, :1]")),
    mutant("gradient-of-averaged-frames", "GRAD",
        "In the backward pass a space-only model's frames are not divided by their number",
        Patch(BACKWARD, "norm_vjp(head_vjp(d)) / t", "norm_vjp(head_vjp(d))")),
    mutant("gradient-of-class-token-by-frame", "GRAD",
        "The class token's gradient counts once for each frame, not for each clip",
        Patch(BACKWARD, "d_frames[:, 0, 0] = d[:, 0]", "d_frames[:, :, 0] = d[:, :1]")),
    mutant("gradient-of-class-position", "GRAD", "The class token's position gets no gradient",
        Patch(BACKWARD,
            "_scatter(d_places, patchify",
            "_scatter(d_places * (np.arange(len(d_places)) > 0)[:, None], patchify")),
    mutant("gradient-detached", "GRAD", "No gradient passes through earlier steps (temporal)",
        Patch(BACKWARD,
            "d_patches = d[:, 1:] + rearrange(d_groups, rule.ungroup, **lengths)",
            "d_patches = d[:, 1:]")),
    mutant("gradient-of-norm-statistics", "GRAD",
        "Mean and variance of a LayerNorm count as constants in the backward pass",
        Patch(BACKWARD, "(d - shared - along) / deviation", "d / deviation")),
    mutant("gradients-kept", "GRAD PROP", "Gradients are added to those of the call before",
        Patch(BACKWARD, "    grads: Gradients = defaultdict(float)\n", """\
    shape = tuple((name, w.shape) for name, w in weights.items())
    grads: Gradients = _KEPT.setdefault(shape, defaultdict(float))
"""),
        Patch(BACKWARD,
            "Vjp = Callable[[Array], Array]\n", "Vjp = Callable[[Array], Array]\n_KEPT = {}\n"),
        Patch(BACKWARD, "np.asarray(grads[name])", "np.array(grads[name])"),
        evidence="state PROP-2"),

    # Weights and their initial values
    mutant("weights-without-fc", "WEIGHT", "There are no weights of temporal_fc",
        Patch(INITIALISE,
            "for name, weight in table.items()}",
            'for name, weight in table.items() if "_fc." not in name}'),
        evidence="statistic WEIGHT-1"),
    mutant("weights-always-with-qkv-bias", "WEIGHT",
        "Queries, keys and values have a bias even where the config switches it off",
        Patch(WEIGHTS, 'if config.qkv_bias or not name.endswith("qkv.bias"):', "if name:"),
        evidence="statistic WEIGHT-1"),
    mutant("weights-with-one-position-table", "WEIGHT",
        "There is one position for each patch of each frame, and no time_embed",
        Patch(WEIGHTS,
            "1 + config.grid[1] * config.grid[2]",
            "1 + config.grid[0] * config.grid[1] * config.grid[2]"),
        Patch(WEIGHTS, "add(() if config.separate_frames else TIME)", "add(())"),
        evidence="statistic WEIGHT-1"),
    mutant("init-time-random", "INIT", "time_embed is initialised at random, not at zero",
        Patch(WEIGHTS, '"1 t d", "zeros"', '"1 t d", "normal"'),
        evidence="statistic INIT-2"),
    mutant("init-fc-random", "INIT", "temporal_fc is initialised at random, not at zero",
        Patch(WEIGHTS, '"d d", "zeros", "one more linear layer after the step"',
            '"d d", "normal", "one more linear layer after the step"'),
        evidence="statistic INIT-3"),
    mutant("init-deviation", "INIT", "Matrices are drawn with standard deviation 0.01, not 0.02",
        Patch(INITIALISE,
            "0.02 * rng.standard_normal", "0.01 * rng.standard_normal"),
        evidence="statistic INIT-1"),
    mutant("init-one-key", "INIT",
        "Every weight is drawn with the same random key: those of all blocks are equal",
        Patch(INITIALISE, "0.02 * rng.standard_normal",
            "0.02 * np.random.default_rng(seed).standard_normal"),
        evidence="statistic INIT-1"),
    mutant("init-cut-at-two-deviations", "INIT",
        "Matrices are drawn from within two standard deviations",
        Patch(INITIALISE, ".clip(-2, 2)", ".clip(-0.04, 0.04)"),
        evidence="statistic INIT-1"),
    mutant("init-patch-normal", "INIT",
        "The patch projection is initialised like the other matrices, not as PyTorch's convolution",
        Patch(WEIGHTS, '"d c p p", "fan_in"', '"d c p p", "normal"'),
        evidence="statistic INIT-4"),
    mutant("init-norm-shift", "INIT", "The last norm's shift is initialised at 1",
        Patch(WEIGHTS, '"zeros", "last LayerNorm, shift"', '"ones", "last LayerNorm, shift"'),
        evidence="statistic INIT-2"),
    mutant("init-seed-ignored", "INIT", "The seed is ignored: every seed gives the same weights",
        Patch(INITIALISE, "default_rng(seed)\n    table", "default_rng(0)\n    table"),
        evidence="statistic INIT-5"),
    mutant("init-not-repeatable", "INIT PROP",
        "The seed is ignored: the same seed gives other weights",
        Patch(INITIALISE, "default_rng(seed)\n    table", "default_rng()\n    table"),
        evidence="statistic INIT-5"),

    # Which frames
    mutant("sampling-rounds", "FRAMES", "Places of frames are rounded, not cut to whole numbers",
        Patch(SAMPLING, ".clamp(0, total - 1).long()", ".clamp(0, total - 1).round().long()")),
    mutant("sampling-in-float64", "FRAMES", "Places of frames are spaced in float64, not float32",
        Patch(SAMPLING, "num_frames, dtype=torch.float32", "num_frames, dtype=torch.float64")),
    mutant("sampling-from-the-middle", "FRAMES",
        "Clips lie in the middle of their part of the video",
        Patch(SAMPLING, "* clip / num_clips", "* (clip + 0.5) / num_clips")),
    mutant("sampling-last-clip-at-the-end", "FRAMES", "The last clip ends where the video ends",
        Patch(SAMPLING, "* clip / num_clips", "* clip / max(num_clips - 1, 1)")),
    mutant("sampling-wraps", "FRAMES", "A video that is too short starts again",
        Patch(SAMPLING, ".clamp(0, total - 1).long().numpy()", ".long().numpy() % total")),
    mutant("sampling-ignores-speed", "FRAMES", "Frames per second are ignored",
        Patch(SAMPLING, " / TARGET_FPS * fps", "")),
    mutant("sampling-span-in-float32", "FRAMES", "The span of a clip is computed in float32",
        Patch(SAMPLING, "sampling_rate * num_frames / TARGET_FPS * fps",
            "float(np.float32(sampling_rate * num_frames) / np.float32(TARGET_FPS)"
            " * np.float32(fps))")),
    mutant("sampling-start-in-float32", "FRAMES", "The start of a clip is computed in float32",
        Patch(SAMPLING, "max(total - span, 0) * clip / num_clips",
            "float(np.float32(max(total - span, 0)) * np.float32(clip) / np.float32(num_clips))")),
    mutant("segments-first-frame", "FRAMES",
        "Of each segment the first frame is taken, not the middle",
        Patch(SAMPLING, "(bounds[:-1] + bounds[1:]) // 2", "bounds[:-1]")),
    mutant("segments-half-up", "FRAMES", "Bounds of segments are rounded half up, not half to even",
        Patch(SAMPLING, "np.round((total - 1) / num_frames * np.arange(num_frames + 1))",
            "np.floor((total - 1) / num_frames * np.arange(num_frames + 1) + 0.5)")),
    mutant("segments-in-float32", "FRAMES", "Bounds of segments are computed in float32",
        Patch(SAMPLING, "(total - 1) / num_frames * np.arange(num_frames + 1)",
            "np.float32((total - 1) / num_frames) * np.arange(num_frames + 1, dtype=np.float32)")),

    # Views
    mutant("resize-aligns-corners", "VIEW", "Frames are resized with aligned corners",
        Patch(VIEWS, "align_corners=False", "align_corners=True")),
    mutant("resize-antialiased", "VIEW", "Frames are resized with antialiasing",
        Patch(VIEWS, "antialias=antialias", "antialias=True")),
    mutant("resize-of-bytes", "VIEW",
        "Frames are resized before they are normalised, and rounded to bytes between",
        Patch(VIEWS, "small = _resize(_normalise(frame, mean, std), size, antialias)", """\
planes = rearrange(torch.from_numpy(np.array(frame, np.float32)), "h w c -> c h w")
        pixels = rearrange(_resize(planes, size, antialias).round(), "c h w -> h w c")
        small = _normalise(pixels.astype(np.uint8), mean, std).numpy()""")),
    mutant("resize-squashes", "VIEW",
        "Frames are squashed to a square, so that all views are equal",
        Patch(VIEWS, "size = _resized(height, width, scale)", "size = (scale, scale)")),
    mutant("resize-longer-side-rounded", "VIEW", "The longer side is rounded, not rounded down",
        Patch(VIEWS, "floor(height / width * scale)", "round(height / width * scale)"),
        Patch(VIEWS, "floor(width / height * scale)", "round(width / height * scale)")),
    mutant("resize-longer-side-by-ratio", "VIEW",
        "The longer side is multiplied by scale / shorter, which rounds to another pixel",
        Patch(VIEWS, "floor(height / width * scale)", "floor(height * (scale / width))"),
        Patch(VIEWS, "floor(width / height * scale)", "floor(width * (scale / height))")),
    mutant("resize-where-none-is-needed", "VIEW",
        "Frames of the right size are resized too, which may cost the longer side a pixel",
        Patch(VIEWS, "if min(height, width) == scale:", "if height == width == scale:")),
    mutant("centre-rounded-down", "VIEW", "The centre crop's corner is rounded down, not up",
        Patch(VIEWS, "(ceil(down / 2), ceil(right / 2))", "(down // 2, right // 2)")),
    mutant("crops-always-left-to-right", "VIEW",
        "Upright frames are cropped left, centre and right too",
        Patch(VIEWS, "if height > width:", "if not width:")),
    mutant("crops-of-corners", "VIEW", "Crops are top left, centre and bottom right (the paper's)",
        Patch(VIEWS, """\
        return [(0, centre[1]), centre, (down, centre[1])]
    return [(centre[0], 0), centre, (centre[0], right)]""", """\
        return [(0, 0), centre, (down, right)]
    return [(0, 0), centre, (down, right)]""")),
    mutant("pixels-divided-twice", "VIEW", "Pixels are divided by 255 twice",
        Patch(VIEWS, ".div_(255)", ".div_(255).div_(255)")),
    mutant("channels-swapped", "VIEW", "Views have their channels in the order BGR",
        Patch(VIEWS, "_normalise(frame, mean, std)", "_normalise(frame[..., ::-1], mean, std)")),
    mutant("imagenet-mean-and-std", "VIEW", "Pixels are normalised with ImageNet's mean and std",
        Patch(VIEWS, "(0.45, 0.45, 0.45)", "(0.485, 0.456, 0.406)"),
        Patch(VIEWS, "(0.225, 0.225, 0.225)", "(0.229, 0.224, 0.225)")),

    # What no answer may do
    mutant("positions-kept-by-count", "PROP POS",
        "Resized positions are cached by their number: 2 x 6 patches get those of 3 x 4 before",
        Patch(PATCHIFY, "def patch_pixels(", "_KEPT = {}\n\n\ndef patch_pixels("),
        Patch(PATCHIFY,
            "    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]", """\
    count = pos_embed.shape[1], h * w
    return tokens + pos_embed[0, _KEPT.setdefault(count, positions(pos_embed.shape[1], h, w))]"""),
        evidence="state PROP-2"),
    mutant("positions-kept-for-good", "PROP POS",
        "Positions resized for one frame size are cached for every later one",
        Patch(PATCHIFY, "def patch_pixels(", "_KEPT = {}\n\n\ndef patch_pixels("),
        Patch(PATCHIFY,
            "    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]", """\
    first = _KEPT.setdefault(pos_embed.shape[1], positions(pos_embed.shape[1], h, w))
    return tokens + pos_embed[0, np.resize(first, 1 + h * w)]"""),
        evidence="state PROP-2"),
    mutant("time-table-kept", "PROP TIME",
        "A resized time table is cached by its shape: other weights get the first ones' time",
        Patch(TIME, "def time_embedding(", "_KEPT = {}\n\n\ndef time_embedding("),
        Patch(TIME, 'time = weights["time_embed"][0, nearest(trained, t)]', """\
shape = t, weights["time_embed"].shape
    time = _KEPT.setdefault(shape, weights["time_embed"][0, nearest(trained, t)])"""),
        evidence="state PROP-2"),
    mutant("dropout-left-on", "MODEL MLP PROP",
        "The MLP's dropout is left on, at the config's probability",
        Patch(ATTENTION, '    return tokens + mlp(normed, part(w, "mlp"))', """\
    kept = np.random.random(tokens.shape) >= config.hidden_dropout_prob
    return tokens + mlp(normed, part(w, "mlp")) * kept / (1 - config.hidden_dropout_prob)"""),
        evidence="statistic MODEL-4"),
    mutant("stochastic-depth-left-on", "MODEL MLP PROP",
        "Stochastic depth is left on: the MLP of a whole clip may be dropped",
        Patch(ATTENTION, '    return tokens + mlp(normed, part(w, "mlp"))', """\
    kept = np.random.random((len(tokens), 1, 1)) >= config.drop_path_rate
    return tokens + mlp(normed, part(w, "mlp")) * kept / (1 - config.drop_path_rate)"""),
        evidence="statistic MODEL-4"),
    mutant("video-changed", "PROP", "The caller's video is changed: its remainder is set to zero",
        Patch(PATCHIFY, "    whole = video[..., : h * p, : w * p]\n", """\
    video[..., h * p :, :] = video[..., w * p :] = 0
    whole = video[..., : h * p, : w * p]
"""),
        evidence="state PROP-2"),
    mutant("tokens-changed", "PROP", "The MLP's result is added to the caller's tokens, in place",
        Patch(ATTENTION, 'return tokens + mlp(normed, part(w, "mlp"))',
            'return np.add(tokens, mlp(normed, part(w, "mlp")), out=tokens)'),
        evidence="state PROP-2"),
    mutant("weights-changed", "PROP",
        "Every call folds the scale of the scores into the caller's query weights, in place",
        Patch(LAYERS, '    qkv = linear(x, part(w, "qkv"), bias="qkv.bias" in w)\n', """\
    for weight in part(w, "qkv").values():
        weight[: x.shape[-1]] /= sqrt(x.shape[-1] // heads)
    qkv = linear(x, part(w, "qkv"), bias="qkv.bias" in w)
"""),
        Patch(LAYERS, "q @ k.mT / sqrt(q.shape[-1])", "q @ k.mT"),
        evidence="state PROP-2"),
    mutant("norm-mean-of-batch", "NORM PROP",
        "LayerNorm's mean is over the batch too: each clip changes the others' logits",
        Patch(LAYERS,
            "x - x.mean(axis=-1, keepdims=True)", "x - x.mean(axis=(0, -1), keepdims=True)")),
    mutant("logits-squeezed", "PROP",
        "Logits of a single clip, or of a single label, lose that axis",
        Patch(PORT, "return model.forward(video, weights, config).logits",
            "return model.forward(video, weights, config).logits.squeeze()")),
    mutant("first-clip-for-all", "PROP MODEL", "Every clip of a batch gets the first one's logits",
        Patch(PORT, "model.forward(video, weights, config).logits",
            "model.forward(video[:1], weights, config).logits.repeat(len(video), axis=0)")),

    # Beyond the sizes of tests
    mutant("batch-index-in-one-byte", "PROP MODEL", "A clip's number is one byte",
        Patch(PORT, "model.forward(video, weights, config).logits",
            "model.forward(video[np.arange(len(video)) % 256], weights, config).logits"),
        Patch(PORT, "from spec_tests.harness.backward",
            "import numpy as np\n\nfrom spec_tests.harness.backward")),
    mutant("batch-in-chunks-of-32", "PROP MODEL",
        "A batch runs in chunks of 32 clips, of which the last is filled with the clips before it",
        Patch(PORT, "    return model.forward(video, weights, config).logits\n", """\
    starts = [min(i, max(len(video) - 32, 0)) for i in range(0, len(video), 32)]
    chunks = [model.forward(video[i : i + 32], weights, config).logits for i in starts]
    return np.concatenate(chunks)[: len(video)]
"""),
        Patch(PORT, "from spec_tests.harness.backward",
            "import numpy as np\n\nfrom spec_tests.harness.backward")),
    mutant("micro-batches-averaged", "GRAD",
        "The gradients of micro-batches of 8 clips are averaged, though the last may be smaller",
        Patch(PORT, "from spec_tests.harness.backward import gradients\n", """\
import numpy as np

from spec_tests.harness import backward
"""),
        Patch(PORT, 'NAME = "timesformer_ref (NumPy)"\n', '''\
NAME = "timesformer_ref (NumPy)"


def gradients(video, labels, weights, config):
    starts = range(0, len(video), 8)
    of = [backward.gradients(video[i : i + 8], labels[i : i + 8], weights, config) for i in starts]
    return np.mean([x for x, _ in of]), {n: sum(g[n] for _, g in of) / len(of) for n in weights}


''')),
    mutant("time-of-96-frames", "TIME", "Frames beyond the 96th get the time of the 96th",
        Patch(TIME, "nearest(trained, t)]", "nearest(trained, t).clip(0, 95)]")),
    mutant("time-index-in-one-byte", "TIME", "The index of a frame's time is one byte",
        Patch(TIME, "nearest(trained, t)]", "nearest(trained, t).astype(np.uint8)]")),
    mutant("time-attention-over-128-frames", "DIV AXIAL",
        "The first 128 frames attend to each other only in the temporal step",
        Patch(ATTENTION, '    update = linear(update, part(w, f"{step}_fc"))\n', """\
    if step == "temporal" and normed.shape[1] > 128:
        update[:, :128], _ = self_attention(normed[:, :128], attn, heads)
    update = linear(update, part(w, f"{step}_fc"))
""")),
    mutant("class-copies-averaged-in-chunks", "DIV LG AXIAL",
        "The class token's copies are averaged in chunks of 32, then the chunks' averages",
        Patch(ATTENTION, 'reduce(copies, "(b g) 1 d -> b 1 d", "mean", g=per_clip)', """\
np.mean([
        reduce(rearrange(copies, "(b g) 1 d -> b g d", g=per_clip)[:, i : i + 32],
               "b g d -> b 1 d", "mean")
        for i in range(0, per_clip, 32)
    ], axis=0, dtype=copies.dtype)""")),
    mutant("space-only-averaged-in-chunks", "HEAD",
        "The frames of a space-only model are averaged in chunks of 8, then the chunks' averages",
        Patch(CLASSIFIER, 'reduce(tokens, "(b t) s d -> b s d", "mean", t=frames)', """\
np.mean([
            tokens.reshape(-1, frames, *tokens.shape[1:])[:, i : i + 8].mean(axis=1)
            for i in range(0, frames, 8)
        ], axis=0, dtype=tokens.dtype)""")),
    mutant("position-index-in-one-byte", "POS", "The index of a patch's position is one byte",
        Patch(PATCHIFY, "        return np.arange(places)\n", """\
        return np.concatenate([[0], 1 + np.arange(patches) % 256])
""")),
    mutant("position-index-in-two-bytes", "POS",
        "Patches are counted in two bytes: the 65,537th gets the first one's position",
        Patch(PATCHIFY, "np.concatenate([[0], rearrange(grid, \"h w -> (h w)\")])",
            "np.concatenate([[0], rearrange(grid, \"h w -> (h w)\")[np.arange(h * w) % 65536]])")),
    mutant("rows-of-at-most-128", "PATCH POS",
        "Rows of patches after the 128th are read from the first rows again",
        Patch(PATCHIFY, "    return rearrange(whole, pattern, p=p, q=p)\n", """\
    rows = np.arange(h * p) % (128 * p)
    return rearrange(whole[..., rows, :], pattern, p=p, q=p)
""")),
    mutant("columns-in-tiles-of-64", "AXIAL",
        "In the width step a patch attends to its own tile of 64 columns only",
        Patch(ATTENTION, '    update = linear(update, part(w, f"{step}_fc"))\n', """\
    tile = 64 if step == "width" else normed.shape[1]
    tiles = [normed[:, i : i + tile] for i in range(0, normed.shape[1], tile)]
    update = np.concatenate([self_attention(x, attn, heads)[0] for x in tiles], axis=1)
    update = linear(update, part(w, f"{step}_fc"))
""")),
    mutant("channels-in-fours", "PATCH", "Channels are read in fours, those left over not at all",
        Patch(PATCHIFY, "    whole = video[..., : h * p, : w * p]\n", """\
    whole = video[..., : h * p, : w * p].copy()
    c = whole.shape[2]
    whole[:, :, c // 4 * 4 if c > 4 else c :] = 0
""")),
    mutant("channels-at-most-16", "PATCH", "Channels after the sixteenth are ignored",
        Patch(PATCHIFY, "    whole = video[..., : h * p, : w * p]\n", """\
    whole = video[..., : h * p, : w * p].copy()
    whole[:, :, 16:] = 0
""")),
    mutant("pixels-in-vectors", "PATCH",
        "More than 64 pixels of a patch are summed in vectors of 16, the rest is lost",
        Patch(PATCHIFY, "    return linear(patch_pixels(video, config), layer)\n", """\
    pixels = patch_pixels(video, config)
    n = pixels.shape[-1]
    end = n // 16 * 16 if n > 64 else n
    layer["weight"] = layer["weight"][:, :end]
    return linear(pixels[..., :end], layer)
""")),
    mutant("patch-16-by-columns", "PATCH",
        "Patches of 16 pixels, which have a kernel of their own, are read column by column",
        Patch(PATCHIFY, 'pattern = "b t c (h p) (w q) -> b t (h w) (c p q)"', """\
order = "c q p" if p == 16 else "c p q"
    pattern = f"b t c (h p) (w q) -> b t (h w) ({order})\"""")),
    mutant("norm-in-vectors", "NORM",
        "LayerNorm's mean leaves out what is beyond the last whole vector of 32 numbers",
        Patch(LAYERS, "    centred = x - x.mean(axis=-1, keepdims=True)\n", """\
    d = x.shape[-1]
    whole = x[..., : d // 32 * 32] if d > 32 else x
    centred = x - whole.mean(axis=-1, keepdims=True)
""")),
    mutant("norm-of-768-unbiased", "NORM",
        "The kernel for tokens 768 wide divides the squares by 767",
        Patch(LAYERS, "np.sqrt(variance + eps)",
            "np.sqrt(variance * (768 / 767 if x.shape[-1] == 768 else 1) + eps)")),
    mutant("large-products-in-bfloat16", "PATCH NORM ATT MLP HEAD MODEL",
        "Products of 256 inputs and more round their factors to bfloat16 in a float32 port",
        Patch(LAYERS, '    y = np.tensordot(x, w["weight"], axes=(-1, -1))\n', """\
    factors = [x, w["weight"]]
    if x.shape[-1] >= 256:
        cut = [np.ascontiguousarray(n, np.float32).view(np.uint32) & 0xFFFF0000 for n in factors]
        factors = [n.view(np.float32) for n in cut]
    y = np.tensordot(*factors, axes=(-1, -1))
""")),
    mutant("heads-at-most-twelve", "ATT", "Heads after the twelfth read what the first ones do",
        Patch(LAYERS, "    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))\n", """\
    q, k, v = (x[:, np.arange(heads) % 12] for x in (q, k, v))
    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))
""")),
    mutant("heads-in-chunks-of-four", "ATT",
        "Heads are computed four at a time, and those left over are the last four again",
        Patch(LAYERS, "    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))\n", """\
    starts = [min(i, max(heads - 4, 0)) for i in range(0, heads, 4)]
    order = [i + j for i in starts for j in range(min(heads, 4))][:heads]
    q, k, v = (x[:, order] for x in (q, k, v))
    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))
""")),
    mutant("scale-of-padded-head", "ATT",
        "Heads wider than 64 are padded to the next power of two, from which the scale is taken",
        Patch(LAYERS, "sqrt(q.shape[-1]))", "sqrt(q.shape[-1] if q.shape[-1] <= 64 else "
            "1 << (q.shape[-1] - 1).bit_length()))")),
    mutant("head-of-one-number-normalised", "ATT",
        "Heads of a single number are squeezed to their sign",
        Patch(LAYERS, "    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))\n", """\
    q = np.sign(q) if q.shape[-1] == 1 else q
    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))
""")),
    mutant("wide-scores-in-half-precision", "ATT",
        "Scores of heads 128 wide and wider are rounded to float16 in a float32 port",
        Patch(LAYERS, "softmax(q @ k.mT / sqrt(q.shape[-1]))",
            "softmax(np.float16(q @ k.mT / sqrt(q.shape[-1])).astype(q.dtype) "
            "if q.shape[-1] >= 128 else q @ k.mT / sqrt(q.shape[-1]))")),
    mutant("hidden-in-chunks-of-1024", "MLP",
        "Hidden numbers beyond the last whole 1,024 are lost, where there are more",
        Patch(LAYERS, 'return linear(gelu(linear(x, part(w, "fc1"))), part(w, "fc2"))', """\
hidden = gelu(linear(x, part(w, "fc1")))
    if hidden.shape[-1] > 1024:
        hidden[..., hidden.shape[-1] // 1024 * 1024 :] = 0
    return linear(hidden, part(w, "fc2"))""")),
    mutant("gelu-in-vectors", "MLP",
        "GELU leaves out the numbers beyond the last whole vector of 16, where there is one",
        Patch(LAYERS, "    return x * (1 + erf(x / sqrt(2))) / 2\n", """\
    y, end = x * (1 + erf(x / sqrt(2))) / 2, x.shape[-1] // 16 * 16
    return np.concatenate([y[..., :end], x[..., end:]], axis=-1) if end else y
""")),
    mutant("blocks-in-order-of-strings", "MODEL",
        "Blocks run in the order of their names as strings: 0, 1, 10, 11, 2",
        Patch(MODEL, "range(config.num_hidden_layers)",
            "sorted(range(config.num_hidden_layers), key=str)")),
    mutant("blocks-by-first-digit", "MODEL", "Block 10 and the next have the weights of block 1",
        Patch(MODEL, 'part(weights, f"blocks.{i}")', 'part(weights, f"blocks.{str(i)[0]}")')),
    mutant("blocks-at-most-twelve", "MODEL", "Blocks after the twelfth are not run",
        Patch(MODEL, "range(config.num_hidden_layers)",
            "range(min(config.num_hidden_layers, 12))")),
    mutant("layer-by-prefix", "MODEL DIV MLP",
        "A block's weights are all whose names begin so: the last of blocks 1, 10, 11 is block 1",
        Patch(PORT, "from timesformer_ref.weights import part\n", """\
import re


def part(weights, name):
    mine = [n for n in weights if n.startswith(name)]
    return {re.sub(r"^blocks\\.\\d+\\.", "", n): weights[n] for n in mine}
""")),
    mutant("layer-of-two-digits", "MODEL DIV MLP",
        "A block's number is read from two digits of its name: block 100 is block 10",
        Patch(PORT, "def mlp(tokens, weights, config, layer):\n", """\
def mlp(tokens, weights, config, layer):
    layer = int(str(layer)[:2])
""")),
    mutant("label-in-one-byte", "GRAD", "A label is one byte: 256 is 0",
        Patch(BACKWARD, "    config.check_labels(labels, len(video))\n", """\
    config.check_labels(labels, len(video))
    labels = labels % 256
""")),
    mutant("head-bias-of-1000", "HEAD", "The classifier's bias ends with the 1,000th label",
        Patch(CLASSIFIER, "    return linear(normed[:, 0], part(weights, \"head\"))\n", """\
    head = part(weights, "head")
    bias = np.where(np.arange(config.num_labels) < 1000, head["bias"], 0)
    return linear(normed[:, 0], {"weight": head["weight"], "bias": bias})
""")),
    mutant("labels-padded-in-softmax", "GRAD",
        "More than 16 labels are padded with zeros to a multiple of 16, which the softmax counts",
        Patch(BACKWARD, "layers.softmax(logits) - truth", """\
layers.softmax(
        np.pad(logits, [(0, 0), (0, -logits.shape[1] % 16 if logits.shape[1] > 16 else 0)])
    )[:, : logits.shape[1]] - truth""")),
    mutant("flash-sum-not-rescaled", "ATT",
        "Attention in tiles of 128 keys: where the maximum grows, the sum so far is not rescaled",
        Patch(LAYERS, "    mixed = rearrange(attention @ v, \"g a s k -> g s (a k)\")\n", """\
    scores, top, total, mixed = q @ k.mT / sqrt(q.shape[-1]), -np.inf, 0, 0
    for i in range(0, scores.shape[-1], 128):
        tile = scores[..., i : i + 128]
        before, top = top, np.maximum(top, tile.max(axis=-1, keepdims=True))
        e = np.exp(tile - top)
        total = total + e.sum(axis=-1, keepdims=True)
        mixed = mixed * np.exp(before - top) + e @ v[..., i : i + 128, :]
    mixed = rearrange(mixed / total, "g a s k -> g s (a k)")
""")),
    mutant("last-tile-not-masked", "ATT",
        "More than 64 keys are padded with zeros to a multiple of 64, which the softmax counts",
        Patch(LAYERS, "    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))\n", """\
    s = q.shape[2]
    padded = np.pad(k, [(0, 0), (0, 0), (0, -s % 64 if s > 64 else 0), (0, 0)])
    attention = softmax(q @ padded.mT / sqrt(q.shape[-1]))[..., :s]
""")),
    mutant("keys-after-512-ignored", "ATT JOINT SPACE DIV",
        "A token attends to at most the first 512 of its group",
        Patch(LAYERS, "    attention = softmax(q @ k.mT / sqrt(q.shape[-1]))\n", """\
    attention = softmax(q @ k[:, :, :512].mT / sqrt(q.shape[-1]))
    attention = np.pad(attention, [(0, 0)] * 3 + [(0, q.shape[2] - attention.shape[3])])
""")),
    mutant("scores-beyond-1024-tokens-in-half-precision", "ATT JOINT",
        "Groups of more than 1,024 tokens have their attention weights in float16",
        Patch(LAYERS, "    mixed = rearrange(attention", """\
    if attention.shape[-1] > 1024:
        attention = np.float16(attention).astype(x.dtype)
    mixed = rearrange(attention""")),
    mutant("gradient-of-first-128-keys", "GRAD",
        "The backward pass of the softmax sums over the first 128 keys only",
        Patch(BACKWARD, "rest = (d_attention * attention).sum(",
            "rest = (d_attention * attention)[..., :128].sum(")),
    mutant("gradient-names-as-strings", "GRAD",
        "Gradients of blocks are named in the order of their names as strings: 0, 1, 10, 11, 2",
        Patch(BACKWARD, "{name: np.asarray(grads[name]) for name in weights}", """\
{
        re.sub(r"(?<=blocks\\.)\\d+", lambda i: order[int(i[0])], name): np.asarray(grads[name])
        for name in weights
    }"""),
        Patch(BACKWARD, "    truth = np.eye(", """\
    order = sorted(map(str, range(config.num_hidden_layers)))
    truth = np.eye("""),
        Patch(BACKWARD, "from math import pi, sqrt\n", "import re\nfrom math import pi, sqrt\n")),
    mutant("group-index-in-two-bytes", "ATT",
        "Groups are counted in two bytes: the 65,537th gets the first one's result",
        Patch(LAYERS, '    return linear(mixed, part(w, "proj")), attention\n', """\
    mixed = mixed[np.arange(len(mixed)) % 65536]
    return linear(mixed, part(w, "proj")), attention
""")),
    mutant("tokens-in-chunks-of-1024", "MLP",
        "The MLP takes 1,024 tokens at a time, and leaves the last ones out that are fewer",
        Patch(ATTENTION, '    return tokens + mlp(normed, part(w, "mlp"))', """\
    update, s = mlp(normed, part(w, "mlp")), tokens.shape[1]
    update[:, s // 1024 * 1024 if s > 1024 else s :] = 0
    return tokens + update""")),
    mutant("time-not-resized-with-positions", "TIME MODEL GRAD",
        "Where positions are resized, time is not: a clip gets the table's last entries",
        Patch(TIME, "nearest(trained, t)]", """\
np.maximum(np.arange(t) + trained - t, 0)
        if frames.shape[2] != weights["pos_embed"].shape[1] else nearest(trained, t)]""")),
    mutant("positions-flattened-with-time", "POS MODEL",
        "In a clip of another number of frames, positions are resized over the flattened table",
        Patch(PATCHIFY,
            "    return tokens + pos_embed[0, positions(pos_embed.shape[1], h, w)]", """\
    n = pos_embed.shape[1]
    if t == config.num_frames:
        return tokens + pos_embed[0, positions(n, h, w)]
    return tokens + pos_embed[0, np.concatenate([[0], 1 + nearest(n - 1, h * w)])]""")),
    mutant("remainder-cut-at-the-start", "PATCH MODEL",
        "Where positions are resized, the pixels that make no whole patch are cut on top and left",
        Patch(PATCHIFY, "    whole = video[..., : h * p, : w * p]\n", """\
    whole = video[..., : h * p, : w * p]
    if (h, w) != config.grid[1:]:
        whole = video[..., -h * p :, -w * p :]
""")),
    mutant("time-of-one-frame", "TIME MODEL",
        "A single frame whose positions are resized gets the mean of the time table",
        Patch(TIME, "    patches = rearrange(patches, \"b t n d -> b n t d\") + time\n", """\
    if t == 1 and frames.shape[2] != weights["pos_embed"].shape[1]:
        time = weights["time_embed"][0].mean(axis=0, keepdims=True)
    patches = rearrange(patches, "b t n d -> b n t d") + time
""")),

    mutant("frame-index-in-two-bytes", "FRAMES", "The index of a frame in a video is two bytes",
        Patch(SAMPLING,
            ".clamp(0, total - 1).long()", ".clamp(0, total - 1).long().remainder(65536)")),
    mutant("segments-in-two-bytes", "FRAMES", "The bounds of segments are two bytes",
        Patch(SAMPLING, "(bounds[:-1] + bounds[1:]) // 2",
            "(bounds[:-1] + bounds[1:]) // 2 % 65536")),
    mutant("views-of-64-frames", "VIEW", "Frames of a clip after the 64th are left black",
        Patch(VIEWS, "        small = _resize(", """\
        frame = frame if t < 64 else 0 * frame
        small = _resize(""")),
    mutant("columns-in-two-bytes", "VIEW", "The column at which a view begins is two bytes",
        Patch(VIEWS, "    for t, frame in enumerate(frames):\n", """\
    corners = [(y, x % 65536) for y, x in corners]
    for t, frame in enumerate(frames):
""")),

    # State
    mutant("zero-grad-missing", "PROP GRAD",
        "Gradients are added to those of the last call with the same weights",
        Patch(BACKWARD, "    grads: Gradients = defaultdict(float)\n", """\
    _, grads = _KEPT.setdefault(id(weights), (weights, defaultdict(float)))
"""),
        Patch(BACKWARD,
            "Vjp = Callable[[Array], Array]\n", "Vjp = Callable[[Array], Array]\n_KEPT = {}\n"),
        Patch(BACKWARD, "np.asarray(grads[name])", "np.array(grads[name])"),
        evidence="state PROP-2"),
    mutant("training-mode-after-gradients", "PROP",
        "Once gradients were asked for, the MLP's dropout stays on",
        Patch(BACKWARD, "    grads: Gradients = defaultdict(float)\n", """\
    grads: Gradients = defaultdict(float)
    layers.TRAINING.append(True)
"""),
        Patch(LAYERS, "Weights = Mapping[str, np.ndarray]\n", """\
Weights = Mapping[str, np.ndarray]
TRAINING = []
"""),
        Patch(LAYERS, 'return linear(gelu(linear(x, part(w, "fc1"))), part(w, "fc2"))', """\
hidden = gelu(linear(x, part(w, "fc1")))
    hidden = 2 * hidden * (np.random.random(hidden.shape) < 0.5) if TRAINING else hidden
    return linear(hidden, part(w, "fc2"))"""),
        evidence="state PROP-2"),
    mutant("time-table-written-back", "PROP",
        "A resized time table takes the place of the model's",
        Patch(TIME, '    time = weights["time_embed"][0, nearest(trained, t)]\n', """\
    _, table = _TABLES.get(id(weights), (weights, weights["time_embed"]))
    table = table[:, nearest(table.shape[1], t)]
    _TABLES[id(weights)] = weights, table
    time = table[0]
"""),
        Patch(TIME, "def time_embedding(", "_TABLES = {}\n\n\ndef time_embedding("),
        evidence="state PROP-2"),
    mutant("attention-of-the-last-call", "PROP",
        "A buffer of attention weights is read before it is written: those of the last call",
        Patch(LAYERS, "    mixed = rearrange(attention", """\
    last = _BUFFERS.get(attention.shape, attention)
    _BUFFERS[attention.shape], attention = attention, last
    mixed = rearrange(attention"""),
        Patch(LAYERS, "Weights = Mapping[str, np.ndarray]\n", """\
Weights = Mapping[str, np.ndarray]
_BUFFERS = {}
"""),
        evidence="state PROP-2"),
    mutant("statistics-of-the-last-call", "PROP",
        "The last norm's mean is a running one, as in a batch norm left in training mode",
        Patch(CLASSIFIER, "    normed = final_norm(tokens, weights, config, frames)\n", """\
    normed = final_norm(tokens, weights, config, frames)
    mean = normed[:, 0].mean()
    normed = normed + 0.1 * _MEANS.get(config.hidden_size, mean)
    _MEANS[config.hidden_size] = mean
"""),
        Patch(CLASSIFIER, "def final_norm(", "_MEANS = {}\n\n\ndef final_norm("),
        evidence="state PROP-2"),

    # What must be refused
    mutant("remainder-of-groups-dropped", "REFUSE",
        "Frames and patches that local and global groups cannot divide are dropped silently",
        Patch(MODEL, "    grid = config.clip_grid(video.shape)\n", """\
    if config.attention_type == "sparse_local_global":
        two = 2 * config.patch_size
        t, height, width = video.shape[1] // 2 * 2, *(n // two * two for n in video.shape[-2:])
        video = video[:, :t, :, :height, :width]
    grid = config.clip_grid(video.shape)
"""),
        evidence="refusal REFUSE-1"),
    mutant("fixed-frames-answers-others", "REFUSE",
        "It declares only the trained number of frames, yet returns wrong logits for others",
        Patch(PORT, "NAME =", "FIXED_FRAMES = True\nNAME ="),
        Patch(TIME, "nearest(trained, t)]", "np.minimum(np.arange(t), trained - 1)]"),
        evidence="refusal REFUSE-2"),
    mutant("fixed-frame-size-answers-others", "REFUSE",
        "It declares only the trained frame size, yet returns wrong logits for others",
        Patch(PORT, "NAME =", "FIXED_FRAME_SIZE = True\nNAME ="),
        Patch(PATCHIFY,
            '[[0], rearrange(grid, "h w -> (h w)")]', "[[0], 1 + nearest(patches, h * w)]"),
        evidence="refusal REFUSE-2"),
)
# fmt: on
