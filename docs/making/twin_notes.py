"""Which functions stand beside each other on the tour's pages, and the note of each group of lines.

A definition is FILE/NAME; a comment stands where an implementation has none. A note stands before
the line that is its key, in either implementation; `def` is the first one.
"""

from __future__ import annotations

MODULES = "# A module makes its weights; NumPy takes them as a mapping by name."
STARTS = "# NumPy's initial values: timesformer_ref/checkpoints/initialise.py"

TWINS: dict[str, list[tuple[str, str, dict[str, str]]]] = {
    "patchify": [
        (
            "patchify/patch_pixels",
            "patchify/PatchEmbed.__init__",
            {
                "def": (
                    "NumPy cuts out the patches and multiplies each by a matrix; pixels beyond"
                    " the last whole patch are dropped. PyTorch computes the same product as a"
                    " convolution, whose weights are made here."
                ),
                'pattern = "b t c (h p) (w q) -> b t (h w) (c p q)"': (
                    "Rows split into h patches of p rows, columns into w patches of q columns;"
                    " each patch becomes a list, channel by channel. With a `stride` as wide as"
                    " itself, the convolution's kernel covers each patch once."
                ),
            },
        ),
        (
            "patchify/patch_embed",
            "patchify/PatchEmbed.forward",
            {
                "def": "Of each frame, n patches become n tokens of width d.",
                'proj = part(weights, "patch_embed.proj")': (
                    "The weights are stored as d kernels. Flattened in the order of a patch's"
                    " pixels, each is a row of the paper's matrix E."
                ),
            },
        ),
        (
            "patchify/positions",
            "patchify/positions",
            {
                "def": (
                    "The table of positions was trained for one grid of patches, and a frame may"
                    " have another. These are the 1 + h·w entries to use; entry 0 is the class"
                    " token's."
                ),
                "if patches == h * w:": (
                    "Only the number of patches counts, not the grid's shape."
                ),
                "side = isqrt(patches)": (
                    "The trained grid is a square. Rows and columns are resized separately, each"
                    " to the nearest entry."
                ),
            },
        ),
        (
            "patchify/patchify",
            "patchify/patchify",
            {
                "def": (
                    "Each frame becomes a sequence of the class token and n patches, so s is 1 + n."
                ),
                "b, t = patches.shape[:2]": (
                    "Every frame gets a copy of the same learned class token."
                ),
                "h, w = (": (
                    "The positions are added to the class token too, and are the same in all"
                    " frames. PyTorch's dropout acts in training only."
                ),
            },
        ),
    ],
    "time_embedding": [
        (
            "time_embedding/time_embedding",
            "time_embedding/time_embedding",
            {
                "def": (
                    "One sequence per frame, of 1 + n tokens, becomes one sequence per clip, of 1"
                    " + n·t tokens."
                ),
                "if config.separate_frames:": (
                    "A space-only model never compares frames. It has no table of times, and each"
                    " frame goes on as a clip of its own."
                ),
                "class_token, patches = frames[:, 0, :1], frames[:, :, 1:]": (
                    "The class token, the same in every frame, is kept once and gets no time. All"
                    " patches of a frame get that frame's."
                ),
                "patches = rearrange(": (
                    "Time is fastest: the order is place by place, and for each place all its"
                    " frames."
                ),
            },
        ),
        (
            "layers/nearest",
            "layers/nearest",
            {
                "def": (
                    "Nothing is interpolated: for each of `new_size` places, this is the entry to"
                    " use."
                ),
                "# Both as tensors: compiled, a GPU divides by a number inexactly.": (
                    "This is computed in float32, even in a float64 model: the original's"
                    " rounding belongs to the model."
                ),
            },
        ),
    ],
    "attention": [
        (
            "layers/linear",
            "# PyTorch has it: nn.Linear",
            {
                "def": (
                    "The matrix has a row per output, so the tokens are multiplied by its"
                    " transpose."
                ),
            },
        ),
        (
            "layers/layer_norm",
            "# PyTorch has it: nn.LayerNorm",
            {
                "def": (
                    "Each token is normed by itself, over its d numbers. The sum of squares is"
                    " divided by d, not d − 1, and `eps` is inside the root."
                ),
            },
        ),
        (
            "layers/softmax",
            "# PyTorch has it: torch.softmax",
            {
                "def": (
                    "Subtracting the largest score changes no result, and keeps exp from"
                    " overflowing."
                ),
            },
        ),
        (
            "layers/self_attention",
            "layers/SelfAttention.forward",
            {
                "def": (
                    "g groups of s tokens go in and come out, with an s × s matrix of attention"
                    " weights per group and head."
                ),
                'qkv = linear(x, part(w, "qkv"), bias="qkv.bias" in w)': (
                    "One product makes the queries, keys and values of all heads. Its output is"
                    " packed as `(three a k)`: all queries, all keys, all values; within each,"
                    " head by head."
                ),
                "rate = self.attention_dropout if self.training else 0.0": (
                    "Row i of `attention` says how much token i attends to each token of its"
                    " group. PyTorch's fused attention computes the same without ever holding all"
                    " rows."
                ),
                'mixed = rearrange(attention @ v, "g a s k -> g s (a k)")': (
                    "Each head has its weighted mean of the values. The heads are put side by"
                    " side again, and one more linear layer mixes them."
                ),
            },
        ),
        (
            MODULES,
            "layers/SelfAttention.__init__",
            {
                "def": (
                    "These are the layers of the module whose forward pass is above. Dropout acts"
                    " in training only."
                ),
                "self.heads = heads": (
                    "`qkv` returns 3·d numbers per token; in the published models it has a bias."
                ),
            },
        ),
    ],
    "divided_attention": [
        (
            "divided_attention/earlier_step",
            "divided_attention/Block.earlier_step",
            {
                "def": (
                    "In divided attention this is the temporal step: 1 + 1,568 tokens go in and"
                    " come out. Its attention weights are 8 × 8 for each of 196 groups and 12"
                    " heads."
                ),
                "rule = STEPS[step]": (
                    "The class token takes no part: only the patches are sorted into groups, by"
                    " the pattern of the step."
                ),
                'normed = layer_norm(groups, part(w, f"{step}_norm1"), eps)': (
                    "The step works on normed tokens. Its last layer, `fc`, is zero before"
                    " training, so that the step adds nothing until that layer has learned."
                ),
                "patches = patches + rearrange(update, rule.ungroup, **lengths)": (
                    "The residual: the result is added to the patches as they were before the"
                    " norm. The class token comes back unchanged."
                ),
            },
        ),
        (
            "divided_attention/last_step",
            "divided_attention/Block.last_step",
            {
                "def": (
                    "In divided attention this is the spatial step. Its attention weights are 197"
                    " × 197 for each of 8 groups and 12 heads."
                ),
                "rule = STEPS[step]": (
                    "Here a group is a frame: 8 groups of 196 patches per clip."
                ),
                "per_clip = len(groups) // len(tokens)": (
                    "Each group gets a copy of the class token before the norm, so each copy"
                    " attends to its own frame."
                ),
                "copies, patches = update[:, :1], update[:, 1:]": (
                    "The class token gets the mean of what its copies would add, once. The"
                    " patches go back to the order of the sequence."
                ),
            },
        ),
        (
            "divided_attention/attention_step",
            "divided_attention/Block.attention_step",
            {
                "def": "Which function runs depends on whether the step is the scheme's last.",
            },
        ),
        (
            "divided_attention/feed_forward",
            "divided_attention/Block.feed_forward",
            {
                "def": "Here tokens exchange nothing. `drop_path` acts in training only.",
            },
        ),
        (
            "divided_attention/block",
            "divided_attention/Block.forward",
            {
                "def": (
                    "Tokens leave a block in the shape in which they entered it, so blocks can be"
                    " stacked."
                ),
                "attentions = {}": (
                    "Each step works on what the one before it returned, not on the block's input."
                ),
            },
        ),
    ],
    "mlp": [
        (
            "layers/gelu",
            "# PyTorch has it: nn.GELU",
            {
                "def": (
                    "This is computed with the error function; the tanh approximation gives other"
                    " numbers."
                ),
            },
        ),
        (
            "layers/mlp",
            "layers/Mlp.forward",
            {
                "def": "Each token goes from d numbers to 4·d and back.",
            },
        ),
        (
            MODULES,
            "layers/Mlp.__init__",
            {
                "def": "In the published models `width` is 768 and `hidden` 3,072.",
            },
        ),
    ],
    "classifier": [
        (
            "classifier/final_norm",
            "classifier/final_norm",
            {
                "def": "All tokens are normed; the classifier reads the first.",
                "if config.separate_frames:": (
                    "In a space-only model each frame was a clip of its own until here. The mean"
                    " over its frames comes before the norm."
                ),
            },
        ),
        (
            "classifier/classifier",
            "classifier/classifier",
            {
                "def": "Token 0 is the class token: d numbers become one logit per class.",
            },
        ),
    ],
    "model": [
        (
            "model/forward",
            "model/TimeSformer.forward",
            {
                "def": (
                    "The batch may be one video's views. The loss, the tokens after each block"
                    " and the attention weights are returned on request only."
                ),
                "if not np.issubdtype(video.dtype, np.floating):": (
                    "The input is checked once, here; the blocks trust what they are given. The"
                    " frames are counted in the clip, not taken from the config."
                ),
                "frames = patchify(video, weights, config)": (
                    "There is one sequence per frame, then one per clip. From here to the"
                    " classifier the shape stays the same."
                ),
                "for i in range(config.num_hidden_layers):": (
                    "Every block has weights of its own."
                ),
                "logits = classifier(tokens, weights, config, grid[0])": (
                    "The loss compares the logits with the right classes, averaged over the batch."
                ),
            },
        ),
        (
            MODULES,
            "model/TimeSformer.__init__",
            {
                "def": (
                    "These learned vectors belong to no layer: the class token, a position per"
                    " place and a time per frame."
                ),
                "self.patch_embed = PatchEmbed(config)": (
                    "These are the layers. In training, each block leaves out the results of its"
                    " parts at random: never in the first block, at the rate `top` in the last."
                ),
            },
        ),
        (
            STARTS,
            "model/TimeSformer.reset_parameters",
            {
                "def": (
                    "The table of weights gives each its initial values: zeros, ones, normal,"
                    " or, for the patches' projection, uniform."
                ),
            },
        ),
    ],
}
