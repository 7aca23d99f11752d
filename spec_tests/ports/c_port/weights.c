#include "weights.h"

#include <math.h>

/* NORMAL has standard deviation 0.02; FAN_IN is uniform within 1 / sqrt(inputs of one output). */
typedef enum { ZEROS, ONES, NORMAL, FAN_IN } Start;

/* Where weights come from: a function that finds or makes one of them, and what it needs. */
typedef struct Source Source;
struct Source {
    real *(*get)(Source *source, const char *name, Shape shape, Start start);
    const Config *config;
    const File *read;
    File *written;
    uint64_t random;
};

/* ---- The table of weights: names, shapes and start values ---- */

static Linear get_linear(Source *source, const char *name, size_t outputs, size_t inputs,
                         Start start, bool bias) {
    real *weight = source->get(source, text("%s.weight", name), SHAPE(outputs, inputs), start);
    const char *bias_name = text("%s.bias", name);
    return (Linear){inputs, outputs, weight,
                    bias ? source->get(source, bias_name, SHAPE(outputs), ZEROS) : NULL};
}

static Norm get_norm(Source *source, const char *name) {
    Shape shape = SHAPE(source->config->hidden_size);
    return (Norm){source->get(source, text("%s.weight", name), shape, ONES),
                  source->get(source, text("%s.bias", name), shape, ZEROS)};
}

static Linear get_patch_embed(Source *source) {
    const Config *c = source->config;
    size_t p = c->patch_size, d = c->hidden_size;
    Shape kernel = SHAPE(d, c->num_channels, p, p);
    return (Linear){c->num_channels * p * p, d,
                    source->get(source, "patch_embed.proj.weight", kernel, FAN_IN),
                    source->get(source, "patch_embed.proj.bias", SHAPE(d), FAN_IN)};
}

/* The last step's names have no prefix. `block` ends in a dot. */
static StepWeights get_step(Source *source, const char *block, size_t step) {
    const Config *c = source->config;
    size_t d = c->hidden_size;
    bool last = is_last(c, step);
    const char *prefix = last ? block : text("%s%s_", block, c->scheme->steps[step]->name);
    StepWeights weights = {
        .norm = get_norm(source, text("%snorm1", prefix)),
        .qkv = get_linear(source, text("%sattn.qkv", prefix), 3 * d, d, NORMAL, c->qkv_bias),
        .proj = get_linear(source, text("%sattn.proj", prefix), d, d, NORMAL, true),
    };
    if (!last) {
        weights.fc = get_linear(source, text("%sfc", prefix), d, d, ZEROS, true);
    }
    return weights;
}

static Block get_block(Source *source, size_t layer) {
    const Config *c = source->config;
    const char *name = text("blocks.%zu.", layer);
    size_t d = c->hidden_size, m = c->intermediate_size;
    Block block = {
        .norm2 = get_norm(source, text("%snorm2", name)),
        .fc1 = get_linear(source, text("%smlp.fc1", name), m, d, NORMAL, true),
        .fc2 = get_linear(source, text("%smlp.fc2", name), d, m, NORMAL, true),
    };
    for (size_t step = 0; step < c->scheme->count; step++) {
        block.steps[step] = get_step(source, name, step);
    }
    return block;
}

static Model get_model(Source *source) {
    const Config *c = source->config;
    size_t d = c->hidden_size, side = c->image_size / c->patch_size;
    Model model = {
        .config = *c,
        .cls_token = source->get(source, "cls_token", SHAPE(1, 1, d), NORMAL),
        .pos_embed = source->get(source, "pos_embed", SHAPE(1, 1 + side * side, d), NORMAL),
        .patch_embed = get_patch_embed(source),
        .blocks = allocate(&scratch, c->num_hidden_layers, sizeof *model.blocks),
        .norm = get_norm(source, "norm"),
        .head = get_linear(source, "head", c->num_labels, d, NORMAL, true),
    };
    if (!separate_frames(c)) {
        model.time_embed = source->get(source, "time_embed", SHAPE(1, c->num_frames, d), ZEROS);
    }
    for (size_t layer = 0; layer < c->num_hidden_layers; layer++) {
        model.blocks[layer] = get_block(source, layer);
    }
    return model;
}

/* ---- Weights of a file, zeros, and fresh ones ---- */

static real *from_file(Source *source, const char *name, Shape shape, Start start) {
    (void)start;
    const Tensor *tensor = find_tensor(source->read, name);
    if (!tensor) {
        fail("the weight %s is missing", name);
    }
    if (!same_shape(tensor->shape, shape)) {
        fail("%s has shape %s, the config asks %s", name, shape_text(tensor->shape),
             shape_text(shape));
    }
    if (tensor->type != REAL_TYPE) {
        fail("%s is of type %s, this port takes %s", name, TYPE_NAMES[tensor->type],
             TYPE_NAMES[REAL_TYPE]);
    }
    return tensor->data;
}

static real *zeros(Source *source, const char *name, Shape shape, Start start) {
    (void)start;
    real *data = reals(count_of(shape));
    add_tensor(source->written, name, REAL_TYPE, shape, data);
    return data;
}

/* Uniform in (0, 1]: the SplitMix64 generator, its upper 53 bits. */
static double uniform(uint64_t *random) {
    uint64_t z = *random += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (double)(((z ^ (z >> 31)) >> 11) + 1) * 0x1p-53;
}

/* Box and Muller's method. */
static double normal(uint64_t *random) {
    const double pi = 3.14159265358979323846;
    double radius = sqrt(-2 * log(uniform(random)));
    return radius * cos(2 * pi * uniform(random));
}

static real *fresh(Source *source, const char *name, Shape shape, Start start) {
    const Config *c = source->config;
    double bound = 1 / sqrt((double)c->num_channels * (double)c->patch_size * (double)c->patch_size);
    real *data = zeros(source, name, shape, start);
    size_t count = start == ZEROS ? 0 : count_of(shape);
    for (size_t i = 0; i < count; i++) {
        if (start == ONES) {
            data[i] = 1;
        } else if (start == NORMAL) { /* cut as the original cuts: a hundred deviations away */
            data[i] = (real)fmax(-2, fmin(2, 0.02 * normal(&source->random)));
        } else {
            data[i] = (real)(bound * (2 * uniform(&source->random) - 1));
        }
    }
    return data;
}

Model read_weights(const Config *config, const File *file) {
    return get_model(&(Source){.get = from_file, .config = config, .read = file});
}

Model zero_weights(const Config *config, File *file) {
    return get_model(&(Source){.get = zeros, .config = config, .written = file});
}

Model fresh_weights(const Config *config, uint64_t seed, File *file) {
    return get_model(
        &(Source){.get = fresh, .config = config, .written = file, .random = seed});
}
