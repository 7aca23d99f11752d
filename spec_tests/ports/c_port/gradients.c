/* The gradient of the loss, block by block in reverse: what autograd does for PyTorch.

   Each X_back goes the way back of its namesake X, from the gradient d of X's result to that of
   X's input. It adds the gradients of weights to `g`, a layer or a model like the one with the
   weights. What X computed on its way is computed again here, so that the forward pass keeps
   nothing but the tokens that enter each part. */
#include <math.h>
#include <string.h>

#include "model.h"

static real *linear_back(const Linear *layer, const Linear *g, size_t rows, const real *x,
                         const real *d) {
    size_t inputs = layer->inputs, outputs = layer->outputs;
    real *d_x = reals(rows * inputs);
    for (size_t row = 0; row < rows; row++, x += inputs, d += outputs) {
        for (size_t o = 0; o < outputs; o++) {
            add_scaled(g->weight + o * inputs, d[o], x, inputs);
            add_scaled(d_x + row * inputs, d[o], layer->weight + o * inputs, inputs);
        }
        if (g->bias)
            add_scaled(g->bias, 1, d, outputs);
    }
    return d_x;
}

static real *layer_norm_back(const Norm *layer, const Norm *g, size_t rows, const real *x,
                             const real *d) {
    size_t width = layer->width;
    real *d_x = reals(rows * width), *to = d_x;
    for (size_t row = 0; row < rows; row++, x += width, d += width) {
        double mean, deviation, shared = 0, along = 0; /* the mean's and the variance's part */
        moments(x, width, layer->eps, &mean, &deviation);
        for (size_t i = 0; i < width; i++) {
            double normed = (x[i] - mean) / deviation, d_normed = (double)d[i] * layer->weight[i];
            g->weight[i] += (real)(d[i] * normed);
            g->bias[i] += d[i];
            shared += d_normed / (double)width;
            along += d_normed * normed / (double)width;
        }
        for (size_t i = 0; i < width; i++) {
            double normed = (x[i] - mean) / deviation, d_normed = (double)d[i] * layer->weight[i];
            *to++ = (real)((d_normed - shared - normed * along) / deviation);
        }
    }
    return d_x;
}

static real *gelu_back(size_t count, const real *x, const real *d) {
    real *d_x = reals(count);
    for (size_t i = 0; i < count; i++) {
        double density = exp(-(double)x[i] * x[i] / 2) / sqrt(2 * acos(-1));
        d_x[i] = (real)(d[i] * ((1 + erf(x[i] / sqrt(2))) / 2 + x[i] * density));
    }
    return d_x;
}

/* The way back of one row of the attention; `d_attention` is room for it. */
static void row_back(Heads heads, const real *qkv, size_t row, size_t head, const real *d,
                     const real *attention, real *d_attention, real *d_qkv) {
    size_t first = row - row % heads.members, query = place_of(heads, row, QUERY, head);
    double rest = 0;
    for (size_t j = 0; j < heads.members; j++) {
        d_attention[j] = dot(d, qkv + place_of(heads, first + j, VALUE, head), heads.k);
        rest += (double)d_attention[j] * attention[j];
    }
    for (size_t j = 0; j < heads.members; j++) {
        size_t key = place_of(heads, first + j, KEY, head);
        double d_score = attention[j] * (d_attention[j] - rest) / sqrt((double)heads.k);
        add_scaled(d_qkv + query, (real)d_score, qkv + key, heads.k);
        add_scaled(d_qkv + key, (real)d_score, qkv + query, heads.k);
        add_scaled(d_qkv + place_of(heads, first + j, VALUE, head), attention[j], d, heads.k);
    }
}

static real *attend_back(Heads heads, const real *qkv, const real *d) {
    real *d_qkv = reals(heads.rows * 3 * heads.a * heads.k);
    real *attention = reals(heads.members), *d_attention = reals(heads.members);
    for (size_t row = 0; row < heads.rows; row++)
        for (size_t head = 0; head < heads.a; head++, d += heads.k) {
            attention_row(heads, qkv, row, head, attention);
            row_back(heads, qkv, row, head, d, attention, d_attention, d_qkv);
        }
    return d_qkv;
}

/* ---- The parts of a block: `tokens` entered it, and d is changed in place ---- */

/* For one sequence. */
static void step_back(Heads heads, const StepWeights *w, const StepWeights *g, Groups groups,
                      const real *tokens, real *d) {
    size_t rows = groups.rows, width = w->norm.width;
    const real *x = gather(groups, width, tokens, 1);
    const real *normed = layer_norm(&w->norm, rows, x);
    const real *qkv = linear(&w->qkv, rows, normed);
    const real *mixed = attend(heads, qkv);
    real *d_x = gather(groups, width, d, groups.class_share);
    if (w->fc.weight)
        d_x = linear_back(&w->fc, &g->fc, rows, linear(&w->proj, rows, mixed), d_x);
    d_x = linear_back(&w->proj, &g->proj, rows, mixed, d_x);
    d_x = attend_back(heads, qkv, d_x);
    d_x = linear_back(&w->qkv, &g->qkv, rows, normed, d_x);
    d_x = layer_norm_back(&w->norm, &g->norm, rows, x, d_x);
    scatter_add(groups, width, d_x, 1, d);
}

static void attention_step_back(const Model *m, const Model *g, size_t layer, size_t step,
                                Sequences s, const real *tokens, real *d) {
    const StepWeights *w = &m->blocks[layer].steps[step], *g_w = &g->blocks[layer].steps[step];
    Groups groups = group_tokens(&m->config, step, s.grid);
    for (size_t i = 0; i < s.count; i++) {
        Allocation *mark = scratch.last;
        size_t start = i * s.length * w->norm.width;
        step_back(heads_of(m, groups), w, g_w, groups, tokens + start, d + start);
        release(&scratch, mark);
    }
}

static void mlp_back(const Block *w, const Block *g, size_t rows, const real *tokens, real *d) {
    Allocation *mark = scratch.last;
    const real *normed = layer_norm(&w->norm2, rows, tokens);
    const real *hidden = linear(&w->fc1, rows, normed);
    const real *active = gelu(rows * w->fc1.outputs, hidden);
    real *d_x = linear_back(&w->fc2, &g->fc2, rows, active, d);
    d_x = gelu_back(rows * w->fc1.outputs, hidden, d_x);
    d_x = linear_back(&w->fc1, &g->fc1, rows, normed, d_x);
    d_x = layer_norm_back(&w->norm2, &g->norm2, rows, tokens, d_x);
    add_scaled(d, 1, d_x, rows * w->norm2.width);
    release(&scratch, mark);
}

/* ---- Both ends of the model ---- */

/* The mean of -log softmax(logits)[label]; its gradient takes the place of the logits. */
static real cross_entropy_back(size_t b, size_t classes, real *logits, const int64_t *labels) {
    double loss = 0;
    for (size_t i = 0; i < b; i++, logits += classes) {
        double largest = logits[0], sum = 0, of_label = logits[labels[i]];
        for (size_t j = 1; j < classes; j++)
            largest = fmax(largest, logits[j]);
        for (size_t j = 0; j < classes; j++)
            sum += exp(logits[j] - largest);
        loss += (log(sum) + largest - of_label) / (double)b;
        for (size_t j = 0; j < classes; j++)
            logits[j] = (real)(exp(logits[j] - largest) / sum / (double)b);
        logits[labels[i]] -= 1 / (real)b;
    }
    return (real)loss;
}

/* Only class tokens get a gradient from the logits'. */
static real *classifier_back(const Model *m, const Model *g, Sequences s, const real *tokens,
                             const real *d) {
    size_t width = m->config.hidden_size, per_clip = s.count / s.clips;
    const real *means = class_tokens(m, s, tokens), *normed = layer_norm(&m->norm, s.clips, means);
    const real *d_means = linear_back(&m->head, &g->head, s.clips, normed, d);
    d_means = layer_norm_back(&m->norm, &g->norm, s.clips, means, d_means);
    real *d_tokens = reals(s.count * s.length * width);
    for (size_t i = 0; i < s.count; i++) {
        const real *d_mean = d_means + i / per_clip * width;
        add_scaled(d_tokens + i * s.length * width, 1 / (real)per_clip, d_mean, width);
    }
    return d_tokens;
}

/* From the tokens that enter block 0 to every weight before them. */
static void embedding_back(const Model *m, const Model *g, const Video *v, Sequences s,
                           const real *d) {
    size_t width = m->config.hidden_size, patches = s.count * (s.length - 1);
    real *d_patches = reals(patches * width), *to = d_patches;
    for (size_t i = 0; i < s.count; i++, d += s.length * width) {
        add_scaled(g->cls_token, 1, d, width);
        add_scaled(g->pos_embed, 1, d, width);
        for (size_t t = 0; t < s.grid.t; t++)
            for (size_t y = 0; y < s.grid.h; y++)
                for (size_t x = 0; x < s.grid.w; x++, to += width) {
                    const real *d_token = d + token_at(s.grid, t, y, x) * width;
                    size_t place = position(&m->config, s.grid, y, x);
                    size_t time = nearest(m->config.num_frames, s.grid.t, t);
                    add_scaled(to, 1, d_token, width);
                    add_scaled(g->pos_embed + place * width, 1, d_token, width);
                    if (g->time_embed)
                        add_scaled(g->time_embed + time * width, 1, d_token, width);
                }
    }
    linear_back(&m->patch_embed, &g->patch_embed, patches, patch_pixels(&m->config, v), d_patches);
}

real gradients(const Model *m, const Video *v, const int64_t *labels, const Model *g) {
    Grid grid = clip_grid(&m->config, v);
    Sequences s = sequences_of(&m->config, v->b, grid);
    size_t rows = s.count * s.length, numbers = rows * m->config.hidden_size;
    size_t mlp_part = m->config.scheme->count; /* what follows the steps of a block */
    size_t parts = m->config.num_hidden_layers * (mlp_part + 1);
    real *tokens = time_embedding(m, v->b, v->t, grid.h * grid.w, patchify(m, v));
    real **entered = allocate(&scratch, parts, sizeof *entered);
    for (size_t i = 0; i < parts; i++) {
        size_t layer = i / (mlp_part + 1), part = i % (mlp_part + 1);
        entered[i] = memcpy(reals(numbers), tokens, numbers * sizeof *tokens);
        if (part == mlp_part)
            mlp(m, layer, rows, tokens);
        else
            attention_step(m, layer, part, s, tokens);
    }
    real *logits = classifier(m, s, tokens);
    real loss = cross_entropy_back(v->b, m->config.num_labels, logits, labels);
    real *d = classifier_back(m, g, s, tokens, logits);
    for (size_t i = parts; i-- > 0;) {
        size_t layer = i / (mlp_part + 1), part = i % (mlp_part + 1);
        if (part == mlp_part)
            mlp_back(&m->blocks[layer], &g->blocks[layer], rows, entered[i], d);
        else
            attention_step_back(m, g, layer, part, s, entered[i], d);
    }
    embedding_back(m, g, v, s, d);
    return loss;
}
