#include <math.h>
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
    {"space_only", 1, {&SPATIAL}},
    {"joint_space_time", 1, {&JOINT}},
    {"divided_space_time", 2, {&TEMPORAL, &SPATIAL}},
    {"sparse_local_global", 2, {&LOCAL, &GLOBAL}},
    {"axial", 3, {&TEMPORAL, &WIDTH, &HEIGHT}},
};
enum { SCHEME_COUNT = sizeof SCHEMES / sizeof SCHEMES[0] };

const char *scheme_names(void) {
    const char *list = "";
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        list = text("%s%s\"%s\"", list, i ? ", " : "", SCHEMES[i].name);
    return text("[%s]", list);
}

size_t find_step(const Config *config, const char *name) {
    for (size_t i = 0; i < config->scheme->count; i++)
        if (strcmp(name, config->scheme->steps[i]->name) == 0)
            return i;
    fail("%s has no step %s", config->scheme->name, name);
}

bool separate_frames(const Config *config) {
    for (size_t i = 0; i < config->scheme->count; i++)
        if (config->scheme->steps[i]->t != EACH)
            return false;
    return true;
}

/* ---- Groups ---- */

size_t token_at(Grid grid, size_t t, size_t y, size_t x) {
    return 1 + (y * grid.w + x) * grid.t + t;
}

static size_t pieces(Cut cut, size_t size) {
    return cut == WHOLE ? 1 : cut == EACH ? size : 2;
}

static size_t piece_of(Cut cut, size_t place, size_t size) {
    switch (cut) {
    case EACH: return place;
    case HALVES: return place / (size / 2);
    case PARITY: return place % 2;
    default: return 0;
    }
}

/* Each group of the last step begins with the class token, which earlier steps leave out. */
Groups group_tokens(const Config *config, size_t number, Grid grid) {
    const Step *step = config->scheme->steps[number];
    size_t cut_h = pieces(step->h, grid.h), cut_w = pieces(step->w, grid.w);
    size_t count = pieces(step->t, grid.t) * cut_h * cut_w;
    size_t first = number == config->scheme->count - 1; /* the place of a group's first patch */
    size_t members = first + grid.t * grid.h * grid.w / count;
    size_t *tokens = allocate(&scratch, count * members, sizeof *tokens);
    size_t *filled = allocate(&scratch, count, sizeof *filled);
    for (size_t t = 0; t < grid.t; t++)
        for (size_t y = 0; y < grid.h; y++)
            for (size_t x = 0; x < grid.w; x++) {
                size_t group = piece_of(step->t, t, grid.t) * cut_h + piece_of(step->h, y, grid.h);
                group = group * cut_w + piece_of(step->w, x, grid.w);
                tokens[group * members + first + filled[group]++] = token_at(grid, t, y, x);
            }
    return (Groups){count * members, members, 1 / (real)count, tokens};
}

static size_t factor(Cut cut) {
    return cut == HALVES || cut == PARITY ? 2 : 1;
}

void check_groups(const Config *config, Grid grid) {
    for (size_t i = 0; i < config->scheme->count; i++) {
        const Step *step = config->scheme->steps[i];
        size_t t = factor(step->t), h = factor(step->h), w = factor(step->w);
        if (grid.t % t || grid.h % h || grid.w % w)
            fail("%s cannot divide %zu frames of %zu x %zu patches: its %s step needs multiples "
                 "of %zu (frames), %zu (rows) and %zu (columns)",
                 config->scheme->name, grid.t, grid.h, grid.w, step->name, t, h, w);
    }
}

/* ---- The config's JSON ---- */

/* What follows "name": there. No other string of a config has a field's name in quotes. */
static const char *value_of(const char *json, const char *name) {
    const char *found = strstr(json, text("\"%s\"", name));
    if (!found)
        fail("the config has no %s", name);
    found += strlen(name) + 2;
    return found + strspn(found, ": \t\r\n");
}

static size_t count(const char *json, const char *name) {
    double number = strtod(value_of(json, name), NULL);
    if (!(number >= 1 && number <= 1e6) || number != floor(number))
        fail("%s %g is impossible: use a whole number from 1 to a million", name, number);
    return (size_t)number;
}

static const Scheme *scheme_in(const char *json) {
    const char *value = value_of(json, "attention_type");
    for (size_t i = 0; i < SCHEME_COUNT; i++)
        if (strncmp(value, text("\"%s\"", SCHEMES[i].name), strlen(SCHEMES[i].name) + 2) == 0)
            return &SCHEMES[i];
    fail("attention_type is none of %s: %.30s", scheme_names(), value);
}

static void check_config(const Config *c) {
    if (!(c->layer_norm_eps > 0 && c->layer_norm_eps < 1))
        fail("layer_norm_eps %g is impossible: use a number between 0 and 1", c->layer_norm_eps);
    if (c->image_size % c->patch_size)
        fail("image_size %zu is no multiple of patch_size %zu", c->image_size, c->patch_size);
    if (c->hidden_size % c->num_attention_heads)
        fail("hidden_size %zu is no multiple of num_attention_heads %zu", c->hidden_size,
             c->num_attention_heads);
    size_t side = c->image_size / c->patch_size;
    check_groups(c, (Grid){c->num_frames, side, side});
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
        .layer_norm_eps = strtod(value_of(json, "layer_norm_eps"), NULL),
        .qkv_bias = *value_of(json, "qkv_bias") == 't',
        .scheme = scheme_in(json),
    };
    check_config(&config);
    return config;
}
