/* The layers, and the backward pass of each: X_back adds to the gradients of the inputs of X, given
   the gradient of its result. While calls are recorded, `go_back` can run through them from the
   last to the first, as autograd does for PyTorch. */
#include <math.h>
#include <string.h>

#include "model.h"

typedef struct Call {
    void (*back)(const struct Call *);
    Rows y, x, attention; /* what came out and what went in */
    Layer layer;
    const Groups *groups;
    size_t to, from;
    float share;
    const struct Call *previous;
} Call;

static bool recording;
static const Call *last;

void record_calls(bool on) {
    recording = on;
    last = NULL;
}

static void record(Call call) {
    if (!recording)
        return;
    call.previous = last;
    last = memcpy(allocate(1, sizeof call), &call, sizeof call);
}

void go_back(void) {
    for (; last; last = last->previous)
        last->back(last);
}

void forget(const Memory *mark) {
    if (!recording)
        release(mark);
}

Rows rows(size_t count, size_t width) {
    float *x = allocate(count * width, sizeof *x);
    return (Rows){count, width, x, recording ? allocate(count * width, sizeof *x) : NULL};
}

/* ---- Sums ---- */

enum { LANES = 8 };

/* Partial sums run side by side, and lose less than one long sum. */
static float dot(const float *x, const float *y, size_t n) {
    float lanes[LANES] = {0}, sum = 0;
    for (size_t i = 0; i < n; i++)
        lanes[i % LANES] += x[i] * y[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return sum;
}

static void add_scaled(float *restrict sum, float scale, const float *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        sum[i] += scale * x[i];
}

static void add_row_back(const Call *c) {
    size_t n = c->y.width;
    add_scaled(c->x.d + c->from * n, c->share, c->y.d + c->to * n, n);
}

void add_row(Rows y, size_t to, float share, Rows x, size_t from) {
    add_scaled(y.x + to * y.width, share, x.x + from * y.width, y.width);
    record((Call){.back = add_row_back, .y = y, .to = to, .share = share, .x = x, .from = from});
}

/* ---- Linear ---- */

static void linear_back(const Call *c) {
    Rows weight = c->layer.weight, bias = c->layer.bias;
    size_t inputs = weight.width, outputs = weight.count;
    for (size_t row = 0; row < c->x.count; row++) {
        const float *x = c->x.x + row * inputs, *d = c->y.d + row * outputs;
        for (size_t i = 0; i < outputs; i++) {
            add_scaled(weight.d + i * inputs, d[i], x, inputs);
            add_scaled(c->x.d + row * inputs, d[i], weight.x + i * inputs, inputs);
        }
        if (bias.d)
            add_scaled(bias.d, 1, d, outputs);
    }
}

Rows linear(Layer layer, Rows x) {
    Rows weight = layer.weight, bias = layer.bias, y = rows(x.count, weight.count);
    for (size_t row = 0; row < x.count; row++)
        for (size_t i = 0; i < y.width; i++) {
            float product = dot(x.x + row * x.width, weight.x + i * x.width, x.width);
            y.x[row * y.width + i] = bias.x ? product + bias.x[i] : product;
        }
    record((Call){.back = linear_back, .y = y, .x = x, .layer = layer});
    return y;
}

/* ---- LayerNorm ---- */

/* (x - mean) / deviation; returns the deviation: of the biased variance, in two passes. */
static double normalise(const float *x, size_t n, double eps, double *normed) {
    double mean = 0, variance = 0;
    for (size_t i = 0; i < n; i++)
        mean += x[i] / (double)n;
    for (size_t i = 0; i < n; i++)
        variance += (x[i] - mean) * (x[i] - mean) / (double)n;
    for (size_t i = 0; i < n; i++)
        normed[i] = (x[i] - mean) / sqrt(variance + eps);
    return sqrt(variance + eps);
}

static void layer_norm_back(const Call *c) {
    Rows weight = c->layer.weight, bias = c->layer.bias;
    size_t n = c->x.width;
    double *normed = allocate(n, sizeof *normed);
    for (size_t start = 0; start < c->x.count * n; start += n) {
        double deviation = normalise(c->x.x + start, n, c->layer.eps, normed);
        double shared = 0, along = 0; /* what the mean and the deviation take away */
        const float *d = c->y.d + start;
        for (size_t i = 0; i < n; i++) {
            weight.d[i] += (float)(d[i] * normed[i]);
            bias.d[i] += d[i];
            shared += (double)d[i] * weight.x[i] / (double)n;
            along += (double)d[i] * weight.x[i] / (double)n * normed[i];
        }
        for (size_t i = 0; i < n; i++) {
            double d_normed = (double)d[i] * weight.x[i] - shared - along * normed[i];
            c->x.d[start + i] += (float)(d_normed / deviation);
        }
    }
}

Rows layer_norm(Layer layer, Rows x) {
    Rows y = rows(x.count, x.width);
    double *normed = allocate(x.width, sizeof *normed);
    for (size_t start = 0; start < x.count * x.width; start += x.width) {
        normalise(x.x + start, x.width, layer.eps, normed);
        for (size_t i = 0; i < x.width; i++)
            y.x[start + i] = (float)(normed[i] * layer.weight.x[i] + layer.bias.x[i]);
    }
    record((Call){.back = layer_norm_back, .y = y, .x = x, .layer = layer});
    return y;
}

/* ---- GELU ---- */

/* The normal distribution's cumulative function. */
static double cumulative(double x) {
    return (1 + erf(x / sqrt(2))) / 2;
}

static void gelu_back(const Call *c) {
    for (size_t i = 0; i < c->x.count * c->x.width; i++) {
        double x = c->x.x[i], density = exp(-x * x / 2) / sqrt(2 * acos(-1));
        c->x.d[i] += (float)(c->y.d[i] * (cumulative(x) + x * density));
    }
}

/* The exact GELU, not its tanh approximation. */
Rows gelu(Rows x) {
    Rows y = rows(x.count, x.width);
    for (size_t i = 0; i < x.count * x.width; i++)
        y.x[i] = (float)(x.x[i] * cumulative(x.x[i]));
    record((Call){.back = gelu_back, .y = y, .x = x});
    return y;
}

/* ---- Attention ---- */

/* Less the maximum, so that nothing overflows. */
double softmax(float *x, size_t n) {
    double largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = fmax(largest, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += exp(x[i] - largest);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)(exp(x[i] - largest) / sum);
    return largest + log(sum);
}

typedef enum { QUERY, KEY, VALUE } Part;

/* Where the k numbers begin that `head` sees of a row of 3 x a x k. Here row i is one token and
   head, row i + 1 the same token and the next head. */
static size_t place(const Groups *g, size_t i, Part part) {
    return ((i / g->a * 3 + part) * g->a + i % g->a) * g->k;
}

/* The same of member j of its group. */
static size_t other(const Groups *g, size_t i, Part part, size_t j) {
    size_t token = i / g->a, first = token - token % g->members;
    return place(g, (first + j) * g->a + i % g->a, part);
}

static void attention_back(const Call *c) {
    const Groups *g = c->groups;
    for (size_t i = 0; i < c->y.count; i++) {
        const float *attention = c->y.x + i * g->members, *d = c->y.d + i * g->members;
        size_t query = place(g, i, QUERY);
        double mean = dot(attention, d, g->members);
        for (size_t j = 0; j < g->members; j++) {
            size_t key = other(g, i, KEY, j);
            float d_score = (float)(attention[j] * (d[j] - mean) / sqrt((double)g->k));
            add_scaled(c->x.d + query, d_score, c->x.x + key, g->k);
            add_scaled(c->x.d + key, d_score, c->x.x + query, g->k);
        }
    }
}

/* The attention weights of each token to those of its group, by head (paper, eqs. 5 and 6). */
static Rows attention(const Groups *g, Rows qkv) {
    Rows y = rows(g->rows * g->a, g->members);
    for (size_t i = 0; i < y.count; i++) {
        float *scores = y.x + i * g->members;
        const float *query = qkv.x + place(g, i, QUERY);
        for (size_t j = 0; j < g->members; j++) {
            float product = dot(query, qkv.x + other(g, i, KEY, j), g->k);
            scores[j] = (float)(product / sqrt((double)g->k));
        }
        softmax(scores, g->members);
    }
    record((Call){.back = attention_back, .y = y, .x = qkv, .groups = g});
    return y;
}

static void attend_back(const Call *c) {
    const Groups *g = c->groups;
    for (size_t i = 0; i < c->attention.count; i++)
        for (size_t j = 0; j < g->members; j++) {
            size_t value = other(g, i, VALUE, j), score = i * g->members + j;
            const float *d = c->y.d + i * g->k;
            c->attention.d[score] += dot(d, c->x.x + value, g->k);
            add_scaled(c->x.d + value, c->attention.x[score], d, g->k);
        }
}

/* The mean of its group's values for each token, by attention weights (paper, eq. 7). */
Rows attend(const Groups *g, Rows qkv) {
    Rows weight = attention(g, qkv), y = rows(g->rows, g->a * g->k);
    for (size_t i = 0; i < weight.count; i++)
        for (size_t j = 0; j < g->members; j++) {
            const float *value = qkv.x + other(g, i, VALUE, j);
            add_scaled(y.x + i * g->k, weight.x[i * g->members + j], value, g->k);
        }
    record((Call){.back = attend_back, .y = y, .x = qkv, .attention = weight, .groups = g});
    return y;
}

/* ---- Resizing ---- */

/* The source of a place when `size` places are resized to `new_size`, nearest. The original
   computes in float32, and its rounding is part of the model: 26 places resized to 22 take 12,
   not 13, for place 11. */
size_t nearest(size_t size, size_t new_size, size_t place) {
    float ratio = (float)size / (float)new_size;
    float source = (float)place * ratio;
    return (size_t)source < size ? (size_t)source : size - 1;
}
