/* Weights, from a file or fresh. There is no list of them: the model requests each where it
   uses it, by name, shape and initial value. */
#include <math.h>
#include <string.h>

#include "model.h"

/* Uniform in (0, 1]: the upper bits of the generator SplitMix64. */
static double uniform(uint64_t *random) {
    uint64_t z = *random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)(((z ^ (z >> 31)) >> 11) + 1) * 0x1p-53;
}

/* Standard normal, by Box and Muller's method. */
static double normal(uint64_t *random) {
    double radius = sqrt(-2 * log(uniform(random)));
    return radius * cos(2 * acos(-1) * uniform(random));
}

static float start_value(uint64_t *random, Start start, size_t inputs) {
    switch (start) {
    case ONES: return 1;
    case NORMAL: return (float)fmax(-2, fmin(2, 0.02 * normal(random)));
    case FAN_IN: return (float)((2 * uniform(random) - 1) / sqrt((double)inputs));
    default: return 0;
    }
}

static float *read_weight(const Model *m, const char *name, Shape shape) {
    Tensor found = read_tensor(m->file, name, F32);
    if (memcmp(&found.shape, &shape, sizeof shape) != 0)
        fail("%s has not the shape that the config asks", name);
    return found.data;
}

static float *add_zeros(const Model *m, const char *name, Shape shape) {
    float *data = allocate(count_of(shape), sizeof *data);
    add_tensor(m->response, name, F32, shape, data);
    return data;
}

static Rows weight(Model *m, const char *name, Shape shape, Start start, size_t inputs) {
    Rows w = {.width = shape.size[shape.rank - 1], .x = NULL};
    w.count = count_of(shape) / w.width;
    if (m->file)
        w.x = read_weight(m, name, shape);
    if (m->response)
        *(m->file ? &w.d : &w.x) = add_zeros(m, name, shape);
    for (size_t i = 0; !m->file && i < w.count * w.width; i++)
        w.x[i] = start_value(&m->random, start, inputs);
    return w;
}

Rows table(Model *m, const char *name, size_t count, Start start) {
    return weight(m, name, (Shape){3, {1, count, m->config.hidden_size}}, start, 0);
}

Layer layer(Model *m, const char *name, Shape shape, Start start) {
    size_t outputs = shape.size[0], inputs = count_of(shape) / outputs;
    Layer layer = {.eps = m->config.layer_norm_eps};
    layer.weight = weight(m, text("%s.weight", name), shape, start, inputs);
    layer.weight.count = outputs;
    layer.weight.width = inputs;
    if (m->config.qkv_bias || !strstr(name, "qkv"))
        layer.bias = weight(m, text("%s.bias", name), (Shape){1, {outputs}},
                            start == FAN_IN ? FAN_IN : ZEROS, inputs);
    return layer;
}
