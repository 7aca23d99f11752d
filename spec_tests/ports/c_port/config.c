#include <stdlib.h>
#include <string.h>

#include "model.h"

/* How each step cuts frames, rows and columns (paper, section 3). */
static const Step SPATIAL = {"spatial", EACH, WHOLE, WHOLE};
static const Step JOINT = {"joint", WHOLE, WHOLE, WHOLE};
static const Step TEMPORAL = {"temporal", WHOLE, EACH, EACH};
static const Step WIDTH = {"width", EACH, EACH, WHOLE};
static const Step HEIGHT = {"height", EACH, WHOLE, EACH};
static const Step LOCAL = {"local", WHOLE, HALVES, HALVES};
static const Step GLOBAL = {"global", PARITY, PARITY, PARITY};

/* The steps of a block, in order, by `attention_type` (paper, figures 1 and 2). */
static const Scheme SCHEMES[] = {
    {"space_only", 1, {&SPATIAL}, true},
    {"joint_space_time", 1, {&JOINT}, false},
    {"divided_space_time", 2, {&TEMPORAL, &SPATIAL}, false},
    {"sparse_local_global", 2, {&LOCAL, &GLOBAL}, false},
    {"axial", 3, {&TEMPORAL, &WIDTH, &HEIGHT}, false},
};
enum { SCHEME_COUNT = sizeof SCHEMES / sizeof SCHEMES[0] };

const char *scheme_names(void) {
    const char *list = "";
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        list = text("%s%s\\\"%s\\\"", list, i ? ", " : "", SCHEMES[i].name);
    return text("[%s]", list);
}

size_t find_step(const Config *config, const char *name) {
    for (size_t i = 0; i < config->scheme->count; i++)
        if (strcmp(name, config->scheme->steps[i]->name) == 0)
            return i;
    fail("%s has no step %s", config->scheme->name, name);
}

/* ---- Groups ---- */

static size_t piece_of(Cut cut, size_t place, size_t size) {
    if ((cut == HALVES || cut == PARITY) && size % 2)
        fail("%zu places cannot be divided by 2", size);
    switch (cut) {
    case EACH: return place;
    case HALVES: return place / (size / 2);
    case PARITY: return place % 2;
    default: return 0;
    }
}

static size_t pieces(Cut cut, size_t size) {
    return piece_of(cut, size - 1, size) + 1; /* the last place lies in the last piece */
}

/* Each group of the last step begins with the class token, which earlier steps leave out. */
const Groups *group_tokens(const Config *config, size_t number, Grid grid) {
    const Step *step = config->scheme->steps[number];
    size_t cut_h = pieces(step->h, grid.h), cut_w = pieces(step->w, grid.w);
    size_t count = pieces(step->t, grid.t) * cut_h * cut_w;
    size_t first = number == config->scheme->count - 1; /* the place of a group's first patch */
    Groups *groups = allocate(1, sizeof *groups);
    groups->members = first + grid.t * grid.h * grid.w / count;
    groups->rows = count * groups->members;
    groups->a = config->num_attention_heads;
    groups->k = config->hidden_size / groups->a;
    groups->class_share = 1 / (float)count;
    groups->tokens = allocate(groups->rows, sizeof *groups->tokens);
    size_t *filled = allocate(count, sizeof *filled), token = 1;
    for (size_t y = 0; y < grid.h; y++)
        for (size_t x = 0; x < grid.w; x++)
            for (size_t t = 0; t < grid.t; t++) {
                size_t group = piece_of(step->t, t, grid.t) * cut_h + piece_of(step->h, y, grid.h);
                group = group * cut_w + piece_of(step->w, x, grid.w);
                groups->tokens[group * groups->members + first + filled[group]++] = token++;
            }
    return groups;
}

/* ---- The config's JSON ---- */

static size_t count(const char *json, const char *name) {
    long long number = atoll(value_of(json, name));
    if (number < 1 || number > 1000000)
        fail("%s is impossible", name);
    return (size_t)number;
}

static const Scheme *scheme_named(const char *name) {
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        if (strcmp(name, SCHEMES[i].name) == 0)
            return &SCHEMES[i];
    fail("there is no attention_type %s", name);
}

Config read_config(const char *json) {
    Config config = {
        .image_size = count(json, "image_size"),
        .patch_size = count(json, "patch_size"),
        .num_channels = count(json, "num_channels"),
        .num_frames = count(json, "num_frames"),
        .hidden_size = count(json, "hidden_size"),
        .num_hidden_layers = count(json, "num_hidden_layers"),
        .num_attention_heads = count(json, "num_attention_heads"),
        .intermediate_size = count(json, "intermediate_size"),
        .num_labels = count(json, "num_labels"),
        .layer_norm_eps = atof(value_of(json, "layer_norm_eps")),
        .qkv_bias = *value_of(json, "qkv_bias") == 't',
        .scheme = scheme_named(string_of(value_of(json, "attention_type"))),
    };
    if (config.hidden_size % config.num_attention_heads)
        fail("hidden_size is no multiple of num_attention_heads");
    return config;
}
