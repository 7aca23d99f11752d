#include "model.h"

#include <string.h>

Grid clip_grid(const Config *config, const Video *v) {
    size_t p = config->patch_size;
    if (v->b < 1 || v->t < 1)
        fail("the video has %zu clips of %zu frames: at least 1 is needed", v->b, v->t);
    if (v->c != config->num_channels)
        fail("the video has %zu channels, the model takes %zu", v->c, config->num_channels);
    if (v->H < p || v->W < p)
        fail("frames of %zu x %zu pixels are smaller than one patch: use at least %zu x %zu", v->H,
             v->W, p, p);
    Grid grid = {v->t, v->H / p, v->W / p};
    check_groups(config, grid);
    return grid;
}

Sequences sequences_of(const Config *config, size_t clips, Grid clip) {
    if (separate_frames(config))
        return (Sequences){clips, clips * clip.t, 1 + clip.h * clip.w, {1, clip.h, clip.w}};
    return (Sequences){clips, clips, 1 + clip.h * clip.w * clip.t, clip};
}

/* ---- From pixels to sequences ---- */

/* Pixels beyond the last whole patch are dropped. */
const real *patch_pixels(const Config *config, const Video *v) {
    size_t p = config->patch_size, h = v->H / p, w = v->W / p;
    real *pixels = reals(v->b * v->t * h * w * v->c * p * p), *to = pixels;
    for (size_t frame = 0; frame < v->b * v->t; frame++)
        for (size_t y = 0; y < h; y++)
            for (size_t x = 0; x < w; x++)
                for (size_t c = 0; c < v->c; c++)
                    for (size_t row = 0; row < p; row++, to += p) {
                        size_t from = ((frame * v->c + c) * v->H + y * p + row) * v->W + x * p;
                        memcpy(to, v->pixels + from, p * sizeof *to);
                    }
    return pixels;
}

/* The place of a patch in the position table. A table for another number of patches is resized,
   nearest in both directions. Only the count is compared: 2 x 8 patches use a 4 x 4 table as it
   is, in the order of its entries (original `forward_features`). */
size_t position(const Config *config, Grid grid, size_t y, size_t x) {
    size_t side = config->image_size / config->patch_size;
    if (side * side == grid.h * grid.w)
        return 1 + y * grid.w + x;
    return 1 + side * nearest(side, grid.h, y) + nearest(side, grid.w, x);
}

/* Every frame as a sequence: class token, patches row by row, positions added (paper, eq. 1). */
real *patchify(const Model *m, const Video *v) {
    Grid grid = clip_grid(&m->config, v);
    size_t d = m->config.hidden_size, frames = v->b * v->t, n = grid.h * grid.w;
    const real *patch = linear(&m->patch_embed, frames * n, patch_pixels(&m->config, v));
    real *tokens = reals(frames * (1 + n) * d), *to = tokens;
    for (size_t frame = 0; frame < frames; frame++) {
        add_scaled(to, 1, m->cls_token, d);
        add_scaled(to, 1, m->pos_embed, d);
        to += d;
        for (size_t y = 0; y < grid.h; y++)
            for (size_t x = 0; x < grid.w; x++, to += d, patch += d) {
                add_scaled(to, 1, patch, d);
                add_scaled(to, 1, m->pos_embed + position(&m->config, grid, y, x) * d, d);
            }
    }
    return tokens;
}

/* Frames b t (1 + n) d joined to sequences b (1 + n t) d, each patch with its place in time
   (paper, eq. 1). The class token, the same in every frame, gets none. A table for another number
   of frames is resized, nearest. Where each frame is a clip of its own, nothing changes. */
real *time_embedding(const Model *m, size_t b, size_t t, size_t n, const real *frames) {
    size_t d = m->config.hidden_size;
    real *tokens = reals(b * t * (1 + n) * d);
    if (!m->time_embed)
        return memcpy(tokens, frames, b * t * (1 + n) * d * sizeof *tokens);
    for (size_t clip = 0; clip < b; clip++) {
        real *sequence = tokens + clip * (1 + n * t) * d;
        add_scaled(sequence, 1, frames + clip * t * (1 + n) * d, d);
        for (size_t i = 0; i < t; i++)
            for (size_t patch = 0; patch < n; patch++) {
                real *to = sequence + (1 + patch * t + i) * d;
                add_scaled(to, 1, frames + ((clip * t + i) * (1 + n) + 1 + patch) * d, d);
                add_scaled(to, 1, m->time_embed + nearest(m->config.num_frames, t, i) * d, d);
            }
    }
    return tokens;
}

/* ---- Blocks ---- */

/* The tokens of each group, one after another, class tokens scaled by their share. */
real *gather(Groups groups, size_t d, const real *tokens, real class_share) {
    real *x = reals(groups.rows * d);
    for (size_t row = 0; row < groups.rows; row++) {
        size_t token = groups.tokens[row];
        add_scaled(x + row * d, token ? 1 : class_share, tokens + token * d, d);
    }
    return x;
}

/* Add each token of each group to where it came from. */
void scatter_add(Groups groups, size_t d, const real *x, real class_share, real *tokens) {
    for (size_t row = 0; row < groups.rows; row++) {
        size_t token = groups.tokens[row];
        add_scaled(tokens + token * d, token ? 1 : class_share, x + row * d, d);
    }
}

Heads heads_of(const Model *m, Groups groups) {
    size_t a = m->config.num_attention_heads;
    return (Heads){groups.rows, groups.members, a, m->config.hidden_size / a};
}

/* One step and its residual, in place (paper, eqs. 5 to 8 and 11; original `Block`). In the last
   step every group has a copy of the class token, which gets the mean of what its copies learn. In
   earlier steps it waits, and the update passes one more layer, `STEP_fc`. */
void attention_step(const Model *m, size_t layer, size_t step, Sequences s, real *tokens) {
    const StepWeights *w = &m->blocks[layer].steps[step];
    size_t d = m->config.hidden_size;
    Groups groups = group_tokens(&m->config, step, s.grid);
    for (size_t i = 0; i < s.count; i++, tokens += s.length * d) {
        Allocation *mark = scratch.last;
        const real *normed = layer_norm(&w->norm, groups.rows, gather(groups, d, tokens, 1));
        const real *qkv = linear(&w->qkv, groups.rows, normed);
        const real *update = linear(&w->proj, groups.rows, attend(heads_of(m, groups), qkv));
        if (w->fc.weight)
            update = linear(&w->fc, groups.rows, update);
        scatter_add(groups, d, update, groups.class_share, tokens);
        release(&scratch, mark);
    }
}

/* Two layers with a GELU between them and the residual, in place (paper, eq. 9; original `Mlp`). */
void mlp(const Model *m, size_t layer, size_t rows, real *tokens) {
    const Block *w = &m->blocks[layer];
    Allocation *mark = scratch.last;
    const real *hidden = linear(&w->fc1, rows, layer_norm(&w->norm2, rows, tokens));
    const real *active = gelu(rows * w->fc1.outputs, hidden);
    add_scaled(tokens, 1, linear(&w->fc2, rows, active), rows * w->fc2.outputs);
    release(&scratch, mark);
}

void block(const Model *m, size_t layer, Sequences s, real *tokens) {
    for (size_t step = 0; step < m->config.scheme->count; step++)
        attention_step(m, layer, step, s, tokens);
    mlp(m, layer, s.count * s.length, tokens);
}

/* ---- The whole model ---- */

/* The class token of each clip: where its frames were clips of their own, the mean of theirs. */
real *class_tokens(const Model *m, Sequences s, const real *tokens) {
    size_t d = m->config.hidden_size, per_clip = s.count / s.clips;
    real *means = reals(s.clips * d);
    for (size_t i = 0; i < s.count; i++)
        add_scaled(means + i / per_clip * d, 1 / (real)per_clip, tokens + i * s.length * d, d);
    return means;
}

/* One linear layer on the normed class token (an MLP in the paper, after eq. 10). */
real *classifier(const Model *m, Sequences s, const real *tokens) {
    return linear(&m->head, s.clips, layer_norm(&m->norm, s.clips, class_tokens(m, s, tokens)));
}

real *forward(const Model *m, const Video *v) {
    Grid grid = clip_grid(&m->config, v);
    Sequences s = sequences_of(&m->config, v->b, grid);
    real *tokens = time_embedding(m, v->b, v->t, grid.h * grid.w, patchify(m, v));
    for (size_t layer = 0; layer < m->config.num_hidden_layers; layer++)
        block(m, layer, s, tokens);
    return classifier(m, s, tokens);
}
