#include "layers.h"

#include <math.h>
#include <string.h>

/* Independent partial sums run side by side, and lose less than one long sum. */
enum { LANES = 8 };

real dot(const real *x, const real *y, size_t n) {
    real lanes[LANES] = {0};
    size_t i = 0;
    for (; i + LANES <= n; i += LANES) {
        for (size_t lane = 0; lane < LANES; lane++) {
            lanes[lane] += x[i + lane] * y[i + lane];
        }
    }
    double sum = 0;
    for (; i < n; i++) {
        sum += (double)x[i] * y[i];
    }
    for (size_t lane = 0; lane < LANES; lane++) {
        sum += lanes[lane];
    }
    return (real)sum;
}

void add_scaled(real *restrict sum, real scale, const real *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++) {
        sum[i] += scale * x[i];
    }
}

real *linear(const Linear *layer, size_t rows, const real *x) {
    real *y = reals(rows * layer->outputs);
    for (size_t row = 0; row < rows; row++) {
        for (size_t o = 0; o < layer->outputs; o++) {
            const real *weight = layer->weight + o * layer->inputs;
            real product = dot(x + row * layer->inputs, weight, layer->inputs);
            y[row * layer->outputs + o] = product + (layer->bias ? layer->bias[o] : 0);
        }
    }
    return y;
}

/* Mean and standard deviation of one token: of the biased variance, in two passes. */
void moments(const real *x, size_t d, double eps, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < d; i++) {
        sum += x[i];
    }
    *mean = sum / (double)d;
    for (size_t i = 0; i < d; i++) {
        squares += (x[i] - *mean) * (x[i] - *mean);
    }
    *deviation = sqrt(squares / (double)d + eps);
}

real *layer_norm(const Norm *layer, double eps, size_t rows, size_t d, const real *x) {
    real *y = reals(rows * d);
    for (size_t row = 0; row < rows; row++) {
        double mean, deviation;
        moments(x + row * d, d, eps, &mean, &deviation);
        for (size_t i = 0; i < d; i++) {
            double normed = (x[row * d + i] - mean) / deviation;
            y[row * d + i] = (real)(normed * layer->weight[i] + layer->bias[i]);
        }
    }
    return y;
}

/* The exact GELU: x times the normal distribution's cumulative function at x. */
real *gelu(size_t count, const real *x) {
    real *y = reals(count);
    for (size_t i = 0; i < count; i++) {
        y[i] = (real)(x[i] * (1 + erf(x[i] / sqrt(2))) / 2);
    }
    return y;
}

/* In place; less the maximum, so that nothing overflows. */
void softmax(real *x, size_t n) {
    double largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++) {
        largest = fmax(largest, x[i]);
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (real)exp(x[i] - largest);
        sum += x[i];
    }
    for (size_t i = 0; i < n; i++) {
        x[i] = (real)(x[i] / sum);
    }
}

size_t place_of(Heads heads, size_t token, Part part, size_t head) {
    return ((token * 3 + part) * heads.heads + head) * heads.k;
}

/* Whom a token looks at, as one head sees it: m numbers that sum to 1 (paper, eqs. 5 and 6). */
void attention_row(Heads heads, const real *qkv, size_t token, size_t head, real *attention) {
    const real *query = qkv + place_of(heads, token, QUERY, head);
    for (size_t j = 0; j < heads.m; j++) {
        const real *key = qkv + place_of(heads, j, KEY, head);
        attention[j] = (real)(dot(query, key, heads.k) / sqrt((double)heads.k));
    }
    softmax(attention, heads.m);
}

/* The values of the group as each token looks at them: m x heads x k (paper, eq. 7). */
void attend(Heads heads, const real *qkv, real *mixed) {
    real *attention = reals(heads.m);
    for (size_t i = 0; i < heads.m; i++) {
        for (size_t head = 0; head < heads.heads; head++, mixed += heads.k) {
            attention_row(heads, qkv, i, head, attention);
            for (size_t j = 0; j < heads.m; j++) {
                add_scaled(mixed, attention[j], qkv + place_of(heads, j, VALUE, head), heads.k);
            }
        }
    }
}

/* The source of a place when `size` places are resized to `new_size`, nearest. The original
   computes in float32, and its rounding is part of the model: 26 places resized to 22 take 12,
   not 13, for place 11. */
size_t nearest(size_t size, size_t new_size, size_t place) {
    float ratio = (float)size / (float)new_size;
    float source = (float)place * ratio;
    size_t whole = (size_t)source;
    return whole < size ? whole : size - 1;
}
