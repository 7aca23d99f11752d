#include "gradients.h"

#include <math.h>
#include <string.h>

/* Each X_back goes the way back of its namesake X: from the gradient d of X's result to that of
   X's input. Gradients of weights are added to `g`, a layer or model like the one with the
   weights. What X computed on its way is computed again here, so that the forward pass keeps
   nothing but the tokens that enter each part. */

static real *linear_back(const Linear *layer, const Linear *g, size_t rows, const real *x,
                         const real *d) {
    size_t inputs = layer->inputs, outputs = layer->outputs;
    real *d_x = reals(rows * inputs);
    for (size_t row = 0; row < rows; row++) {
        for (size_t o = 0; o < outputs; o++) {
            real d_y = d[row * outputs + o];
            add_scaled(g->weight + o * inputs, d_y, x + row * inputs, inputs);
            add_scaled(d_x + row * inputs, d_y, layer->weight + o * inputs, inputs);
        }
        if (g->bias) {
            add_scaled(g->bias, 1, d + row * outputs, outputs);
        }
    }
    return d_x;
}

static real *layer_norm_back(const Norm *layer, const Norm *g, double eps, size_t rows,
                             size_t width, const real *x, const real *d) {
    real *d_x = reals(rows * width), *normed = reals(width), *scaled = reals(width);
    for (size_t row = 0; row < rows; row++, x += width, d += width) {
        double mean, deviation, shared = 0, along = 0; /* the mean's and the variance's share */
        moments(x, width, eps, &mean, &deviation);
        for (size_t i = 0; i < width; i++) {
            normed[i] = (real)((x[i] - mean) / deviation);
            scaled[i] = d[i] * layer->weight[i];
            g->weight[i] += d[i] * normed[i];
            g->bias[i] += d[i];
            shared += scaled[i] / (double)width;
            along += (double)scaled[i] * normed[i] / (double)width;
        }
        for (size_t i = 0; i < width; i++) {
            d_x[row * width + i] = (real)((scaled[i] - shared - normed[i] * along) / deviation);
        }
    }
    return d_x;
}

static real *gelu_back(size_t count, const real *x, const real *d) {
    const double pi = 3.14159265358979323846;
    real *d_x = reals(count);
    for (size_t i = 0; i < count; i++) {
        double density = exp(-(double)x[i] * x[i] / 2) / sqrt(2 * pi);
        d_x[i] = (real)(d[i] * ((1 + erf(x[i] / sqrt(2))) / 2 + x[i] * density));
    }
    return d_x;
}

/* The part of attend_back for one row of the attention. */
static void row_back(Heads heads, const real *qkv, size_t token, size_t head, const real *d_mixed,
                     real *d_qkv, real *attention, real *d_attention) {
    size_t query = place_of(heads, token, QUERY, head);
    double scale = 1 / sqrt((double)heads.k), rest = 0;
    attention_row(heads, qkv, token, head, attention);
    for (size_t j = 0; j < heads.m; j++) {
        d_attention[j] = dot(d_mixed, qkv + place_of(heads, j, VALUE, head), heads.k);
        rest += (double)d_attention[j] * attention[j];
    }
    for (size_t j = 0; j < heads.m; j++) {
        size_t key = place_of(heads, j, KEY, head), value = place_of(heads, j, VALUE, head);
        real d_score = (real)(attention[j] * (d_attention[j] - rest) * scale);
        add_scaled(d_qkv + query, d_score, qkv + key, heads.k);
        add_scaled(d_qkv + key, d_score, qkv + query, heads.k);
        add_scaled(d_qkv + value, attention[j], d_mixed, heads.k);
    }
}

static void attend_back(Heads heads, const real *qkv, const real *d, real *d_qkv) {
    real *attention = reals(heads.m), *d_attention = reals(heads.m);
    for (size_t i = 0; i < heads.m; i++) {
        for (size_t head = 0; head < heads.heads; head++, d += heads.k) {
            row_back(heads, qkv, i, head, d, d_qkv, attention, d_attention);
        }
    }
}

static real *attend_groups_back(const Model *m, const Grouping *groups, const real *qkv,
                                const real *d) {
    size_t width = m->config.hidden_size, a = m->config.num_attention_heads;
    Heads heads = {groups->members, a, width / a};
    real *d_qkv = reals(groups->groups * groups->members * 3 * width);
    for (size_t g = 0; g < groups->groups; g++) {
        size_t first = g * groups->members * width;
        attend_back(heads, qkv + 3 * first, d + first, d_qkv + 3 * first);
    }
    return d_qkv;
}

/* For one sequence: `tokens` entered the step, `d` becomes the gradient of them. */
static void sequence_back(const Model *m, const StepWeights *w, const StepWeights *g,
                          const Grouping *groups, const real *tokens, real *d) {
    size_t width = m->config.hidden_size, rows = groups->groups * groups->members;
    double eps = m->config.layer_norm_eps;
    const real *x = gather(groups, width, 1, tokens);
    const real *normed = layer_norm(&w->norm, eps, rows, width, x);
    const real *qkv = linear(&w->qkv, rows, normed);
    const real *mixed = attend_groups(m, groups, qkv);

    real *d_x = gather(groups, width, 1 / (real)groups->groups, d);
    if (w->fc.weight) {
        d_x = linear_back(&w->fc, &g->fc, rows, linear(&w->proj, rows, mixed), d_x);
    }
    d_x = linear_back(&w->proj, &g->proj, rows, mixed, d_x);
    d_x = attend_groups_back(m, groups, qkv, d_x);
    d_x = linear_back(&w->qkv, &g->qkv, rows, normed, d_x);
    d_x = layer_norm_back(&w->norm, &g->norm, eps, rows, width, x, d_x);
    scatter_add(groups, width, 1, d_x, d);
}

static void attention_step_back(const Model *m, const Model *g, size_t layer, size_t step,
                                Sequences s, const real *tokens, real *d) {
    size_t length = (1 + patches(s.grid)) * m->config.hidden_size;
    Grouping groups = group_tokens(m->config.scheme->steps[step], s.grid, is_last(&m->config, step));
    for (size_t i = 0; i < s.b; i++) {
        Allocation *mark = scratch.last;
        sequence_back(m, &m->blocks[layer].steps[step], &g->blocks[layer].steps[step], &groups,
                      tokens + i * length, d + i * length);
        release(&scratch, mark);
    }
}

static void mlp_back(const Model *m, const Model *g, size_t layer, size_t rows, const real *tokens,
                     real *d) {
    const Block *w = &m->blocks[layer], *g_block = &g->blocks[layer];
    size_t width = m->config.hidden_size, hidden_width = m->config.intermediate_size;
    double eps = m->config.layer_norm_eps;
    Allocation *mark = scratch.last;
    const real *normed = layer_norm(&w->norm2, eps, rows, width, tokens);
    const real *hidden = linear(&w->fc1, rows, normed);
    const real *active = gelu(rows * hidden_width, hidden);

    real *d_x = linear_back(&w->fc2, &g_block->fc2, rows, active, d);
    d_x = gelu_back(rows * hidden_width, hidden, d_x);
    d_x = linear_back(&w->fc1, &g_block->fc1, rows, normed, d_x);
    d_x = layer_norm_back(&w->norm2, &g_block->norm2, eps, rows, width, tokens, d_x);
    add_scaled(d, 1, d_x, rows * width);
    release(&scratch, mark);
}

/* The loss, the mean of -log softmax(logits)[label], and its gradient in place of the logits. */
static real cross_entropy_back(size_t b, size_t classes, real *logits, const int64_t *labels) {
    double loss = 0;
    for (size_t i = 0; i < b; i++, logits += classes) {
        double largest = logits[0], sum = 0;
        for (size_t j = 1; j < classes; j++) {
            largest = fmax(largest, logits[j]);
        }
        for (size_t j = 0; j < classes; j++) {
            sum += exp(logits[j] - largest);
        }
        loss += log(sum) - (logits[labels[i]] - largest);
        softmax(logits, classes);
        logits[labels[i]] -= 1;
        for (size_t j = 0; j < classes; j++) {
            logits[j] /= (real)b;
        }
    }
    return (real)(loss / (double)b);
}

/* From the gradient of the logits to that of the last block's tokens: class tokens only. */
static real *classifier_back(const Model *m, const Model *g, Sequences s, size_t b,
                             const real *tokens, const real *d) {
    size_t width = m->config.hidden_size, per_clip = s.b / b;
    double eps = m->config.layer_norm_eps;
    const real *mean = class_tokens(m, s, b, tokens);
    const real *normed = layer_norm(&m->norm, eps, b, width, mean);

    const real *d_mean = linear_back(&m->head, &g->head, b, normed, d);
    d_mean = layer_norm_back(&m->norm, &g->norm, eps, b, width, mean, d_mean);
    real *d_tokens = reals(tokens_in(s) * width);
    for (size_t i = 0; i < s.b; i++) {
        real *d_class = d_tokens + i * (1 + patches(s.grid)) * width;
        add_scaled(d_class, 1 / (real)per_clip, d_mean + i / per_clip * width, width);
    }
    return d_tokens;
}

/* The way back through time_embedding and patchify to every weight there. */
static void embedding_back(const Model *m, const Model *g, const Video *v, Sequences s,
                           const real *d) {
    size_t width = m->config.hidden_size, n = s.grid.h * s.grid.w;
    real *d_projected = reals(v->b * v->t * n * width);
    for (size_t i = 0; i < s.b; i++, d += (1 + n * s.grid.t) * width) {
        add_scaled(g->cls_token, 1, d, width);
        add_scaled(g->pos_embed, 1, d, width);
        for (size_t t = 0; t < s.grid.t; t++) {
            size_t time = nearest(m->config.num_frames, s.grid.t, t);
            for (size_t p = 0; p < n; p++) {
                size_t y = p / s.grid.w, x = p % s.grid.w;
                const real *d_token = d + token_at(s.grid, t, y, x) * width;
                size_t place = position(&m->config, s.grid, y, x);
                add_scaled(g->pos_embed + place * width, 1, d_token, width);
                if (g->time_embed) {
                    add_scaled(g->time_embed + time * width, 1, d_token, width);
                }
                size_t patch = (i * s.grid.t + t) * n + p;
                add_scaled(d_projected + patch * width, 1, d_token, width);
            }
        }
    }
    linear_back(&m->patch_embed, &g->patch_embed, v->b * v->t * n, patch_pixels(&m->config, v),
                d_projected);
}

static real *copy_of(const real *x, size_t count) {
    return memcpy(reals(count), x, count * sizeof *x);
}

real gradients(const Model *m, const Video *v, const int64_t *labels, Model *g) {
    Grid grid = clip_grid(&m->config, v);
    Sequences s = sequences_of(&m->config, v->b, grid);
    size_t steps = m->config.scheme->count, parts = steps + 1; /* of a block: the MLP is the last */
    size_t all = m->config.num_hidden_layers * parts, numbers = tokens_in(s) * m->config.hidden_size;
    const real **entering = allocate(&scratch, all, sizeof *entering);
    real *tokens = time_embedding(m, v->b, v->t, grid.h * grid.w, patchify(m, v));
    for (size_t i = 0; i < all; i++) {
        entering[i] = copy_of(tokens, numbers);
        if (i % parts < steps) {
            attention_step(m, i / parts, i % parts, s, tokens);
        } else {
            mlp(m, i / parts, tokens_in(s), tokens);
        }
    }
    real *logits = classifier(m, s, v->b, tokens);
    real loss = cross_entropy_back(v->b, m->config.num_labels, logits, labels);
    real *d = classifier_back(m, g, s, v->b, tokens, logits);
    for (size_t i = all; i-- > 0;) {
        if (i % parts < steps) {
            attention_step_back(m, g, i / parts, i % parts, s, entering[i], d);
        } else {
            mlp_back(m, g, i / parts, tokens_in(s), entering[i], d);
        }
    }
    embedding_back(m, g, v, s, d);
    return loss;
}
