#include <math.h>

#include "model.h"

/* Independent partial sums run side by side, and lose less than one long sum. */
enum { LANES = 8 };

real dot(const real *x, const real *y, size_t n) {
    real lanes[LANES] = {0};
    double sum = 0;
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (size_t lane = 0; lane < LANES; lane++)
            lanes[lane] += x[i + lane] * y[i + lane];
    for (; i < n; i++)
        sum += (double)x[i] * y[i];
    for (size_t lane = 0; lane < LANES; lane++)
        sum += lanes[lane];
    return (real)sum;
}

void add_scaled(real *restrict sum, real scale, const real *restrict x, size_t n) {
    for (size_t i = 0; i < n; i++)
        sum[i] += scale * x[i];
}

real *linear(const Linear *layer, size_t rows, const real *x) {
    real *y = reals(rows * layer->outputs), *to = y;
    for (size_t row = 0; row < rows; row++, x += layer->inputs)
        for (size_t o = 0; o < layer->outputs; o++) {
            real product = dot(x, layer->weight + o * layer->inputs, layer->inputs);
            *to++ = layer->bias ? product + layer->bias[o] : product;
        }
    return y;
}

/* Mean and standard deviation of a token: of the biased variance, in two passes. */
void moments(const real *x, size_t n, double eps, double *mean, double *deviation) {
    double sum = 0, squares = 0;
    for (size_t i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / (double)n;
    for (size_t i = 0; i < n; i++)
        squares += (x[i] - *mean) * (x[i] - *mean);
    *deviation = sqrt(squares / (double)n + eps);
}

real *layer_norm(const Norm *layer, size_t rows, const real *x) {
    real *y = reals(rows * layer->width), *to = y;
    for (size_t row = 0; row < rows; row++, x += layer->width) {
        double mean, deviation;
        moments(x, layer->width, layer->eps, &mean, &deviation);
        for (size_t i = 0; i < layer->width; i++)
            *to++ = (real)((x[i] - mean) / deviation * layer->weight[i] + layer->bias[i]);
    }
    return y;
}

/* The exact GELU: x times the normal distribution's cumulative function at x. */
real *gelu(size_t count, const real *x) {
    real *y = reals(count);
    for (size_t i = 0; i < count; i++)
        y[i] = (real)(x[i] * (1 + erf(x[i] / sqrt(2))) / 2);
    return y;
}

/* Less the maximum, so that nothing overflows. */
void softmax(real *x, size_t n) {
    double largest = x[0], sum = 0;
    for (size_t i = 1; i < n; i++)
        largest = fmax(largest, x[i]);
    for (size_t i = 0; i < n; i++)
        sum += x[i] = (real)exp(x[i] - largest);
    for (size_t i = 0; i < n; i++)
        x[i] = (real)(x[i] / sum);
}

/* Where the k numbers of one head lie. */
size_t place_of(Heads heads, size_t row, Part part, size_t head) {
    return ((row * 3 + part) * heads.a + head) * heads.k;
}

/* How much a token looks at each of its group, as one head sees it (paper, eqs. 5 and 6). */
void attention_row(Heads heads, const real *qkv, size_t row, size_t head, real *attention) {
    size_t first = row - row % heads.members;
    const real *query = qkv + place_of(heads, row, QUERY, head);
    for (size_t j = 0; j < heads.members; j++) {
        const real *key = qkv + place_of(heads, first + j, KEY, head);
        attention[j] = (real)(dot(query, key, heads.k) / sqrt((double)heads.k));
    }
    softmax(attention, heads.members);
}

/* The values of its group as each token looks at them (paper, eq. 7). */
real *attend(Heads heads, const real *qkv) {
    real *mixed = reals(heads.rows * heads.a * heads.k), *to = mixed;
    real *attention = reals(heads.members);
    for (size_t row = 0; row < heads.rows; row++)
        for (size_t head = 0; head < heads.a; head++, to += heads.k) {
            size_t first = row - row % heads.members;
            attention_row(heads, qkv, row, head, attention);
            for (size_t j = 0; j < heads.members; j++) {
                const real *value = qkv + place_of(heads, first + j, VALUE, head);
                add_scaled(to, attention[j], value, heads.k);
            }
        }
    return mixed;
}

/* The source of a place when `size` places are resized to `new_size`, nearest. The original
   computes in float32, and its rounding is part of the model: 26 places resized to 22 take 12,
   not 13, for place 11. */
size_t nearest(size_t size, size_t new_size, size_t place) {
    float ratio = (float)size / (float)new_size;
    float source = (float)place * ratio;
    return (size_t)source < size ? (size_t)source : size - 1;
}
