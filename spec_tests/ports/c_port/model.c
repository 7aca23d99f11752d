#include "model.h"

#include <string.h>

/* ---- From pixels to sequences ---- */

/* b t n (c p p). Pixels beyond the last whole patch are dropped. */
static Rows patch_pixels(const Video *v, size_t p) {
    size_t h = v->H / p, w = v->W / p;
    Rows pixels = rows(v->b * v->t * h * w, v->c * p * p);
    float *to = pixels.x;
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

/* Where the position table has what place `place` of a frame gets. A table for another number of
   patches is resized, nearest in both directions. Only the count is compared: 2 x 8 patches use a
   4 x 4 table as it is, in the order of its entries (original `forward_features`). */
static size_t position(size_t side, size_t h, size_t w, size_t place) {
    if (place == 0 || side * side == h * w)
        return place;
    return 1 + side * nearest(side, h, (place - 1) / w) + nearest(side, w, (place - 1) % w);
}

/* Every frame as a sequence: class token, patches row by row, positions added (paper, eq. 1). */
Rows patchify(Model *m, const Video *v) {
    size_t d = m->config.hidden_size, p = m->config.patch_size, side = m->config.image_size / p;
    Layer proj = layer(m, "patch_embed.proj", (Shape){4, {d, v->c, p, p}}, FAN_IN);
    Rows cls_token = table(m, "cls_token", 1, NORMAL);
    Rows pos_embed = table(m, "pos_embed", 1 + side * side, NORMAL);
    Rows patches = linear(proj, patch_pixels(v, p));
    size_t h = v->H / p, w = v->W / p, n = h * w;
    Rows tokens = rows(v->b * v->t * (1 + n), d);
    for (size_t token = 0; token < tokens.count; token++) {
        size_t frame = token / (1 + n), place = token % (1 + n); /* 0 is the class token's */
        if (place == 0)
            add_row(tokens, token, 1, cls_token, 0);
        else
            add_row(tokens, token, 1, patches, frame * n + place - 1);
        add_row(tokens, token, 1, pos_embed, position(side, h, w, place));
    }
    return tokens;
}

/* Frames b t (1 + n) d joined to sequences b (1 + n t) d, each patch with its place in time
   (paper, eq. 1). The class token, the same in every frame, gets none. A table for another number
   of frames is resized, nearest. Where each frame is a clip of its own, nothing changes. */
Rows time_embedding(Model *m, size_t b, size_t t, size_t n, Rows frames) {
    if (m->config.scheme->separate_frames)
        return frames;
    Rows time_embed = table(m, "time_embed", m->config.num_frames, ZEROS);
    Rows tokens = rows(b * (1 + n * t), frames.width);
    for (size_t clip = 0; clip < b; clip++) {
        size_t start = clip * (1 + n * t);
        add_row(tokens, start, 1, frames, clip * t * (1 + n));
        for (size_t i = 0; i < t; i++)
            for (size_t patch = 0; patch < n; patch++) {
                size_t token = start + 1 + patch * t + i;
                add_row(tokens, token, 1, frames, (clip * t + i) * (1 + n) + 1 + patch);
                add_row(tokens, token, 1, time_embed, nearest(m->config.num_frames, t, i));
            }
    }
    return tokens;
}

/* ---- Blocks ---- */

static void add_rows(Rows y, Rows x) {
    for (size_t row = 0; row < x.count; row++)
        add_row(y, row, 1, x, row);
}

static Rows copy(Rows x) {
    Rows y = rows(x.count, x.width);
    add_rows(y, x);
    return y;
}

/* The tokens of each group, one after another, of the sequence that begins at `start`. */
static Rows gather(const Groups *groups, Rows tokens, size_t start) {
    Rows x = rows(groups->rows, tokens.width);
    for (size_t row = 0; row < x.count; row++)
        add_row(x, row, 1, tokens, start + groups->tokens[row]);
    return x;
}

/* Add each token of each group to where it came from; of class tokens the mean. */
static void scatter(const Groups *groups, Rows x, Rows tokens, size_t start) {
    for (size_t row = 0; row < x.count; row++) {
        size_t token = groups->tokens[row];
        add_row(tokens, start + token, token ? 1 : groups->class_share, x, row);
    }
}

/* How tokens lie between blocks: sequences of the class token and h w t patches, time fastest. Each
   is a clip, or a frame where each frame is a clip of its own; then the grid's t is 1. */
Grid sequence_grid(const Config *config, Grid clip) {
    return (Grid){config->scheme->separate_frames ? 1 : clip.t, clip.h, clip.w};
}

/* One step and its residual (paper, eqs. 5 to 8 and 11; original `Block`). In the last step every
   group has a copy of the class token, which gets the mean of its copies' updates. In earlier
   steps it takes no part, and the update passes one more layer, `STEP_fc`. */
Rows attention_step(Model *m, size_t number, size_t step, Grid clip, Rows tokens) {
    const Scheme *scheme = m->config.scheme;
    bool last = step == scheme->count - 1;
    const char *prefix = text("blocks.%zu.", number);
    if (!last)
        prefix = text("%s%s_", prefix, scheme->steps[step]->name);
    size_t d = m->config.hidden_size;
    Shape square = {2, {d, d}};
    Layer norm = layer(m, text("%snorm1", prefix), (Shape){1, {d}}, ONES);
    Layer qkv = layer(m, text("%sattn.qkv", prefix), (Shape){2, {3 * d, d}}, NORMAL);
    Layer proj = layer(m, text("%sattn.proj", prefix), square, NORMAL);
    Layer fc = last ? (Layer){0} : layer(m, text("%sfc", prefix), square, ZEROS);
    Grid grid = sequence_grid(&m->config, clip);
    const Groups *groups = group_tokens(&m->config, step, grid);
    Rows next = copy(tokens);
    for (size_t at = 0; at < tokens.count; at += 1 + grid.t * grid.h * grid.w) {
        const Memory *mark = memory;
        Rows normed = layer_norm(norm, gather(groups, tokens, at));
        Rows update = linear(proj, attend(groups, linear(qkv, normed)));
        scatter(groups, last ? update : linear(fc, update), next, at);
        forget(mark);
    }
    return next;
}

/* Two layers with a GELU between them and the residual (paper, eq. 9; original `Mlp`). */
Rows mlp(Model *m, size_t number, Rows tokens) {
    size_t d = m->config.hidden_size, width = m->config.intermediate_size;
    Layer norm = layer(m, text("blocks.%zu.norm2", number), (Shape){1, {d}}, ONES);
    Layer fc1 = layer(m, text("blocks.%zu.mlp.fc1", number), (Shape){2, {width, d}}, NORMAL);
    Layer fc2 = layer(m, text("blocks.%zu.mlp.fc2", number), (Shape){2, {d, width}}, NORMAL);
    Rows next = copy(tokens);
    const Memory *mark = memory;
    add_rows(next, linear(fc2, gelu(linear(fc1, layer_norm(norm, tokens)))));
    forget(mark);
    return next;
}

Rows block(Model *m, size_t number, Grid clip, Rows tokens) {
    for (size_t step = 0; step < m->config.scheme->count; step++)
        tokens = attention_step(m, number, step, clip, tokens);
    return mlp(m, number, tokens);
}

/* ---- The whole model ---- */

/* One linear layer on the normed class token (an MLP in the paper, after eq. 10). Where frames were
   clips of their own, a clip's class token is the mean of theirs. */
Rows classifier(Model *m, Grid clip, Rows tokens) {
    Grid grid = sequence_grid(&m->config, clip);
    size_t length = 1 + grid.t * grid.h * grid.w, per_clip = clip.t / grid.t;
    Rows means = rows(tokens.count / length / per_clip, tokens.width);
    for (size_t i = 0; i < means.count * per_clip; i++)
        add_row(means, i / per_clip, 1 / (float)per_clip, tokens, i * length);
    Layer norm = layer(m, "norm", (Shape){1, {means.width}}, ONES);
    Layer head = layer(m, "head", (Shape){2, {m->config.num_labels, means.width}}, NORMAL);
    return linear(head, layer_norm(norm, means));
}

Rows forward(Model *m, const Video *v) {
    Grid clip = {v->t, v->H / m->config.patch_size, v->W / m->config.patch_size};
    Rows tokens = time_embedding(m, v->b, v->t, clip.h * clip.w, patchify(m, v));
    for (size_t i = 0; i < m->config.num_hidden_layers; i++)
        tokens = block(m, i, clip, tokens);
    return classifier(m, clip, tokens);
}

/* The mean of -log softmax(logits)[label], and the gradient of each weight. */
float gradients(Model *m, const Video *v, const int64_t *labels) {
    record_calls(true);
    Rows logits = forward(m, v);
    double loss = 0, b = (double)v->b;
    for (size_t i = 0; i < v->b; i++) {
        float *x = logits.x + i * logits.width, *d = logits.d + i * logits.width;
        double of_label = x[labels[i]];
        loss += (softmax(x, logits.width) - of_label) / b;
        for (size_t j = 0; j < logits.width; j++)
            d[j] = (float)((x[j] - (j == (size_t)labels[i])) / b);
    }
    go_back();
    record_calls(false);
    return (float)loss;
}

/* Every weight, each drawn when the smallest clip that all schemes can divide first uses it. */
void initial_weights(Model *m) {
    size_t c = m->config.num_channels, side = 2 * m->config.patch_size;
    Video v = {1, 2, c, side, side, allocate(2 * c * side, side * sizeof(float))};
    forward(m, &v);
}
