#include <math.h>
#include <string.h>

#include "model.h"

/* NORMAL has standard deviation 0.02; FAN_IN is uniform within 1 / sqrt(inputs of one output). */
typedef enum { ZEROS, ONES, NORMAL, FAN_IN } Start;

/* Where weights come from: a function that finds or makes one of them, and what it needs. */
typedef struct Source {
    real *(*get)(struct Source *source, const char *name, Shape shape, Start start);
    const Config *config;
    const File *read;
    File *written;
    uint64_t random;
} Source;

/* ---- The table of weights: names, shapes and start values ---- */

static Linear get_linear(Source *s, const char *name, size_t outputs, size_t inputs, Start start) {
    bool bias = s->config->qkv_bias || !strstr(name, "qkv");
    real *weight = s->get(s, text("%s.weight", name), SHAPE(outputs, inputs), start);
    return (Linear){inputs, outputs, weight,
                    bias ? s->get(s, text("%s.bias", name), SHAPE(outputs), ZEROS) : NULL};
}

static Norm get_norm(Source *s, const char *name) {
    size_t d = s->config->hidden_size;
    real *weight = s->get(s, text("%s.weight", name), SHAPE(d), ONES);
    return (Norm){d, s->config->layer_norm_eps, weight,
                  s->get(s, text("%s.bias", name), SHAPE(d), ZEROS)};
}

static Linear get_patch_embed(Source *s) {
    size_t p = s->config->patch_size, c = s->config->num_channels, d = s->config->hidden_size;
    real *weight = s->get(s, "patch_embed.proj.weight", SHAPE(d, c, p, p), FAN_IN);
    return (Linear){c * p * p, d, weight, s->get(s, "patch_embed.proj.bias", SHAPE(d), FAN_IN)};
}

/* Names of the last step have no prefix, and it has no `fc`. */
static StepWeights get_step(Source *s, size_t layer, size_t number) {
    const Scheme *scheme = s->config->scheme;
    size_t d = s->config->hidden_size;
    bool last = number == scheme->count - 1;
    const char *prefix = text("blocks.%zu.", layer);
    if (!last)
        prefix = text("%s%s_", prefix, scheme->steps[number]->name);
    StepWeights step = {
        .norm = get_norm(s, text("%snorm1", prefix)),
        .qkv = get_linear(s, text("%sattn.qkv", prefix), 3 * d, d, NORMAL),
        .proj = get_linear(s, text("%sattn.proj", prefix), d, d, NORMAL),
    };
    if (!last)
        step.fc = get_linear(s, text("%sfc", prefix), d, d, ZEROS);
    return step;
}

static Block get_block(Source *s, size_t layer) {
    size_t d = s->config->hidden_size, width = s->config->intermediate_size;
    Block block = {
        .norm2 = get_norm(s, text("blocks.%zu.norm2", layer)),
        .fc1 = get_linear(s, text("blocks.%zu.mlp.fc1", layer), width, d, NORMAL),
        .fc2 = get_linear(s, text("blocks.%zu.mlp.fc2", layer), d, width, NORMAL),
    };
    for (size_t step = 0; step < s->config->scheme->count; step++)
        block.steps[step] = get_step(s, layer, step);
    return block;
}

static Model get_model(Source s) {
    const Config *c = s.config;
    size_t d = c->hidden_size, side = c->image_size / c->patch_size;
    Model model = {
        .config = *c,
        .cls_token = s.get(&s, "cls_token", SHAPE(1, 1, d), NORMAL),
        .pos_embed = s.get(&s, "pos_embed", SHAPE(1, 1 + side * side, d), NORMAL),
        .patch_embed = get_patch_embed(&s),
        .blocks = allocate(&scratch, c->num_hidden_layers, sizeof(Block)),
        .norm = get_norm(&s, "norm"),
        .head = get_linear(&s, "head", c->num_labels, d, NORMAL),
    };
    if (!separate_frames(c))
        model.time_embed = s.get(&s, "time_embed", SHAPE(1, c->num_frames, d), ZEROS);
    for (size_t layer = 0; layer < c->num_hidden_layers; layer++)
        model.blocks[layer] = get_block(&s, layer);
    return model;
}

/* ---- Weights of a file, zeros, and fresh ones ---- */

static real *from_file(Source *s, const char *name, Shape shape, Start start) {
    (void)start;
    const Tensor *found = find_tensor(s->read, name);
    if (!found)
        fail("the weight %s is missing", name);
    if (memcmp(&found->shape, &shape, sizeof shape) != 0 || found->type != REAL_TYPE)
        fail("%s is %s of shape %s, the config asks %s of shape %s", name, TYPE_NAMES[found->type],
             shape_text(found->shape), TYPE_NAMES[REAL_TYPE], shape_text(shape));
    return found->data;
}

static real *zeros(Source *s, const char *name, Shape shape, Start start) {
    (void)start;
    real *data = reals(count_of(shape));
    add_tensor(&scratch, s->written, (Tensor){name, REAL_TYPE, shape, data, NULL});
    return data;
}

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

static real *fresh(Source *s, const char *name, Shape shape, Start start) {
    size_t inputs = s->config->num_channels * s->config->patch_size * s->config->patch_size;
    double bound = 1 / sqrt((double)inputs);
    real *data = zeros(s, name, shape, start);
    size_t count = start == ZEROS ? 0 : count_of(shape);
    for (size_t i = 0; i < count; i++)
        data[i] = start == ONES     ? 1
                  : start == NORMAL ? (real)fmax(-2, fmin(2, 0.02 * normal(&s->random)))
                                    : (real)(bound * (2 * uniform(&s->random) - 1));
    return data;
}

Model read_weights(const Config *config, const File *file) {
    return get_model((Source){.get = from_file, .config = config, .read = file});
}

Model zero_weights(const Config *config, File *file) {
    return get_model((Source){.get = zeros, .config = config, .written = file});
}

Model fresh_weights(const Config *config, File *file, uint64_t seed) {
    return get_model((Source){.get = fresh, .config = config, .written = file, .random = seed});
}
