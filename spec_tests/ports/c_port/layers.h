/* The few layers that every block is made of. Every result is new memory in scratch. */
#ifndef LAYERS_H
#define LAYERS_H

#include "common.h"

typedef struct {
    size_t inputs, outputs;
    real *weight, *bias; /* outputs x inputs; NULL without a bias */
} Linear;

typedef struct {
    real *weight, *bias;
} Norm;

/* A group of m tokens, each with queries, keys and values of all heads: m x 3 x heads x k. */
typedef struct {
    size_t m, heads, k;
} Heads;

typedef enum { QUERY, KEY, VALUE } Part;

real dot(const real *x, const real *y, size_t n);
void add_scaled(real *restrict sum, real scale, const real *restrict x, size_t n);

real *linear(const Linear *layer, size_t rows, const real *x);
real *layer_norm(const Norm *layer, double eps, size_t rows, size_t d, const real *x);
void moments(const real *x, size_t d, double eps, double *mean, double *deviation);
real *gelu(size_t count, const real *x);
void softmax(real *x, size_t n);

size_t place_of(Heads heads, size_t token, Part part, size_t head); /* where its k numbers lie */
void attention_row(Heads heads, const real *qkv, size_t token, size_t head, real *attention);
void attend(Heads heads, const real *qkv, real *mixed);

size_t nearest(size_t size, size_t new_size, size_t place);

#endif
