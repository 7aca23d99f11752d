#include "model.h"

#include <string.h>

Grid clip_grid(const Config *config, const Video *v) {
    size_t p = config->patch_size;
    if (v->b < 1 || v->t < 1) {
        fail("the video has %zu clips of %zu frames: at least 1 is needed", v->b, v->t);
    }
    if (v->c != config->num_channels) {
        fail("the video has %zu channels, the model takes %zu", v->c, config->num_channels);
    }
    if (v->H < p || v->W < p) {
        fail("frames of %zu x %zu pixels are smaller than one patch: use at least %zu x %zu", v->H,
             v->W, p, p);
    }
    Grid grid = {v->t, v->H / p, v->W / p};
    check_groups(config, grid);
    return grid;
}

Sequences sequences_of(const Config *config, size_t b, Grid clip) {
    if (separate_frames(config)) {
        return (Sequences){b * clip.t, {1, clip.h, clip.w}};
    }
    return (Sequences){b, clip};
}

size_t tokens_in(Sequences s) {
    return s.b * (1 + patches(s.grid));
}

/* ---- Patches and positions ---- */

/* Pixels beyond the last whole patch are dropped. */
const real *patch_pixels(const Config *config, const Video *v) {
    size_t p = config->patch_size, h = v->H / p, w = v->W / p;
    real *pixels = reals(v->b * v->t * h * w * v->c * p * p), *to = pixels;
    for (size_t frame = 0; frame < v->b * v->t; frame++) {
        for (size_t patch = 0; patch < h * w; patch++) {
            for (size_t row = 0; row < v->c * p; row++, to += p) {
                size_t channel = frame * v->c + row / p, y = patch / w * p + row % p;
                memcpy(to, v->pixels + (channel * v->H + y) * v->W + patch % w * p, p * sizeof *to);
            }
        }
    }
    return pixels;
}

/* The place of a patch in the position table. A table for another number of patches is resized,
   nearest in both directions. Only the count is compared: 2 x 8 patches use a 4 x 4 table as it
   is, in the order of its entries (original `forward_features`). */
size_t position(const Config *config, Grid grid, size_t y, size_t x) {
    size_t side = config->image_size / config->patch_size;
    if (side * side == grid.h * grid.w) {
        return 1 + y * grid.w + x;
    }
    return 1 + side * nearest(side, grid.h, y) + nearest(side, grid.w, x);
}

/* Every frame as a sequence: class token, patches row by row, positions added (paper, eq. 1). */
real *patchify(const Model *m, const Video *v) {
    Grid grid = clip_grid(&m->config, v);
    size_t d = m->config.hidden_size, frames = v->b * v->t, n = grid.h * grid.w;
    const real *projected =
        linear(&m->patch_embed, frames * n, patch_pixels(&m->config, v));
    real *tokens = reals(frames * (1 + n) * d), *to = tokens;
    for (size_t frame = 0; frame < frames; frame++) {
        add_scaled(to, 1, m->cls_token, d);
        add_scaled(to, 1, m->pos_embed, d);
        to += d;
        for (size_t i = 0; i < n; i++, to += d, projected += d) {
            size_t place = position(&m->config, grid, i / grid.w, i % grid.w);
            add_scaled(to, 1, projected, d);
            add_scaled(to, 1, m->pos_embed + place * d, d);
        }
    }
    return tokens;
}

/* Frames b t (1 + n) d joined in sequences, b (1 + n t) d, each patch with its place in time
   (paper, eq. 1). The class token, the same in every frame, gets none. A table for another number
   of frames is resized, nearest. Where each frame is a clip of its own, nothing changes. */
real *time_embedding(const Model *m, size_t b, size_t t, size_t n, const real *frames) {
    size_t d = m->config.hidden_size;
    Grid grid = {t, 1, n};
    real *tokens = reals(b * t * (1 + n) * d);
    if (!m->time_embed) {
        return memcpy(tokens, frames, b * t * (1 + n) * d * sizeof *tokens);
    }
    for (size_t clip = 0; clip < b; clip++) {
        real *sequence = tokens + clip * (1 + n * t) * d;
        memcpy(sequence, frames + clip * t * (1 + n) * d, d * sizeof *sequence);
        for (size_t frame = 0; frame < t; frame++) {
            const real *time = m->time_embed + nearest(m->config.num_frames, t, frame) * d;
            const real *from = frames + ((clip * t + frame) * (1 + n) + 1) * d;
            for (size_t i = 0; i < n; i++, from += d) {
                real *to = sequence + token_at(grid, frame, 0, i) * d;
                add_scaled(to, 1, from, d);
                add_scaled(to, 1, time, d);
            }
        }
    }
    return tokens;
}

/* ---- Blocks ---- */

/* The tokens of each group, one after another; copies of the class token scaled by its share. */
real *gather(const Grouping *groups, size_t d, real class_share, const real *tokens) {
    size_t rows = groups->groups * groups->members;
    real *x = reals(rows * d);
    for (size_t row = 0; row < rows; row++) {
        size_t token = groups->tokens[row];
        add_scaled(x + row * d, token ? 1 : class_share, tokens + token * d, d);
    }
    return x;
}

/* Add what every token of a group gets to the sequence. */
void scatter_add(const Grouping *groups, size_t d, real class_share, const real *x, real *tokens) {
    for (size_t row = 0; row < groups->groups * groups->members; row++) {
        size_t token = groups->tokens[row];
        add_scaled(tokens + token * d, token ? 1 : class_share, x + row * d, d);
    }
}

/* The tokens of each group look at each other, head by head (paper, eqs. 5 to 7). */
real *attend_groups(const Model *m, const Grouping *groups, const real *qkv) {
    size_t d = m->config.hidden_size, a = m->config.num_attention_heads;
    Heads heads = {groups->members, a, d / a};
    real *mixed = reals(groups->groups * groups->members * d);
    for (size_t g = 0; g < groups->groups; g++) {
        attend(heads, qkv + g * groups->members * 3 * d, mixed + g * groups->members * d);
    }
    return mixed;
}

static real *step_update(const Model *m, const StepWeights *w, const Grouping *groups,
                         const real *tokens) {
    size_t d = m->config.hidden_size, rows = groups->groups * groups->members;
    const real *x = gather(groups, d, 1, tokens);
    const real *normed = layer_norm(&w->norm, m->config.layer_norm_eps, rows, d, x);
    const real *mixed = attend_groups(m, groups, linear(&w->qkv, rows, normed));
    real *update = linear(&w->proj, rows, mixed);
    return w->fc.weight ? linear(&w->fc, rows, update) : update;
}

/* One step and its residual, in place (paper, eqs. 5 to 8 and 11; original `Block`). In the last
   step every group has a copy of the class token, which gets the mean of what they have learnt. In
   earlier steps it waits, and the update passes one more layer, `STEP_fc`. */
void attention_step(const Model *m, size_t layer, size_t step, Sequences s, real *tokens) {
    size_t d = m->config.hidden_size;
    Grouping groups = group_tokens(m->config.scheme->steps[step], s.grid, is_last(&m->config, step));
    for (size_t i = 0; i < s.b; i++, tokens += (1 + patches(s.grid)) * d) {
        Allocation *mark = scratch.last;
        real *update = step_update(m, &m->blocks[layer].steps[step], &groups, tokens);
        scatter_add(&groups, d, 1 / (real)groups.groups, update, tokens);
        release(&scratch, mark);
    }
}

/* Two layers with a GELU between them and the residual, in place (paper, eq. 9; original `Mlp`). */
void mlp(const Model *m, size_t layer, size_t rows, real *tokens) {
    const Block *w = &m->blocks[layer];
    size_t d = m->config.hidden_size;
    Allocation *mark = scratch.last;
    const real *normed = layer_norm(&w->norm2, m->config.layer_norm_eps, rows, d, tokens);
    const real *hidden = linear(&w->fc1, rows, normed);
    const real *active = gelu(rows * m->config.intermediate_size, hidden);
    add_scaled(tokens, 1, linear(&w->fc2, rows, active), rows * d);
    release(&scratch, mark);
}

void block(const Model *m, size_t layer, Sequences s, real *tokens) {
    for (size_t step = 0; step < m->config.scheme->count; step++) {
        attention_step(m, layer, step, s, tokens);
    }
    mlp(m, layer, tokens_in(s), tokens);
}

/* ---- The whole model ---- */

/* The class token of each clip. Where each frame was a clip of its own, the frames are averaged. */
real *class_tokens(const Model *m, Sequences s, size_t b, const real *tokens) {
    size_t d = m->config.hidden_size, per_clip = s.b / b;
    real *mean = reals(b * d);
    for (size_t i = 0; i < s.b; i++) {
        const real *class_token = tokens + i * (1 + patches(s.grid)) * d;
        add_scaled(mean + i / per_clip * d, 1 / (real)per_clip, class_token, d);
    }
    return mean;
}

/* One linear layer on the normed class token (an MLP in the paper, after eq. 10). */
real *classifier(const Model *m, Sequences s, size_t b, const real *tokens) {
    size_t d = m->config.hidden_size;
    const real *mean = class_tokens(m, s, b, tokens);
    return linear(&m->head, b, layer_norm(&m->norm, m->config.layer_norm_eps, b, d, mean));
}

real *forward(const Model *m, const Video *v) {
    Grid grid = clip_grid(&m->config, v);
    Sequences s = sequences_of(&m->config, v->b, grid);
    real *tokens = time_embedding(m, v->b, v->t, grid.h * grid.w, patchify(m, v));
    for (size_t layer = 0; layer < m->config.num_hidden_layers; layer++) {
        block(m, layer, s, tokens);
    }
    return classifier(m, s, v->b, tokens);
}
