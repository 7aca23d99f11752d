#include "config.h"

#include <math.h>
#include <string.h>

#include "json.h"

static const Step SPATIAL = {"spatial", EACH, WHOLE, WHOLE}, JOINT = {"joint", WHOLE, WHOLE, WHOLE},
                  TEMPORAL = {"temporal", WHOLE, EACH, EACH}, WIDTH = {"width", EACH, EACH, WHOLE},
                  HEIGHT = {"height", EACH, WHOLE, EACH}, LOCAL = {"local", WHOLE, HALVES, HALVES},
                  GLOBAL = {"global", PARITY, PARITY, PARITY};

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
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        list = text("%s%s\"%s\"", list, i ? ", " : "", SCHEMES[i].name);
    }
    return text("[%s]", list);
}

static const Scheme *find_scheme(const char *name) {
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (strcmp(name, SCHEMES[i].name) == 0) {
            return &SCHEMES[i];
        }
    }
    fail("attention_type %s is impossible: use one of %s", name, scheme_names());
}

size_t find_step(const Config *config, const char *name) {
    for (size_t i = 0; i < config->scheme->count; i++) {
        if (strcmp(name, config->scheme->steps[i]->name) == 0) {
            return i;
        }
    }
    fail("step %s is not one of %s", name, config->scheme->name);
}

bool is_last(const Config *config, size_t step) {
    return step == config->scheme->count - 1;
}

bool separate_frames(const Config *config) {
    for (size_t i = 0; i < config->scheme->count; i++) {
        if (config->scheme->steps[i]->t != EACH) {
            return false;
        }
    }
    return true;
}

/* ---- Groups ---- */

size_t patches(Grid grid) {
    return grid.t * grid.h * grid.w;
}

/* The class token comes first, then the patches row by row, time fastest. */
size_t token_at(Grid grid, size_t t, size_t y, size_t x) {
    return 1 + (y * grid.w + x) * grid.t + t;
}

static size_t pieces(Cut cut, size_t size) {
    return cut == WHOLE ? 1 : cut == EACH ? size : 2;
}

static size_t piece_of(Cut cut, size_t place, size_t size) {
    switch (cut) {
    case EACH:
        return place;
    case HALVES:
        return place / (size / 2);
    case PARITY:
        return place % 2;
    default:
        return 0;
    }
}

Grouping group_tokens(const Step *step, Grid grid, bool class_token) {
    size_t in_h = pieces(step->h, grid.h), in_w = pieces(step->w, grid.w);
    size_t groups = pieces(step->t, grid.t) * in_h * in_w;
    size_t members = class_token + patches(grid) / groups;
    size_t *tokens = allocate(&scratch, groups * members, sizeof *tokens);
    size_t *taken = allocate(&scratch, groups, sizeof *taken);
    for (size_t g = 0; class_token && g < groups; g++) {
        tokens[g * members + taken[g]++] = 0;
    }
    for (size_t t = 0; t < grid.t; t++) {
        for (size_t y = 0; y < grid.h; y++) {
            for (size_t x = 0; x < grid.w; x++) {
                size_t g = piece_of(step->t, t, grid.t) * in_h + piece_of(step->h, y, grid.h);
                g = g * in_w + piece_of(step->w, x, grid.w);
                tokens[g * members + taken[g]++] = token_at(grid, t, y, x);
            }
        }
    }
    return (Grouping){groups, members, tokens};
}

static size_t multiple_for(Cut cut) {
    return cut == HALVES || cut == PARITY ? 2 : 1;
}

void check_groups(const Config *config, Grid grid) {
    for (size_t i = 0; i < config->scheme->count; i++) {
        const Step *step = config->scheme->steps[i];
        size_t t = multiple_for(step->t), h = multiple_for(step->h), w = multiple_for(step->w);
        if (grid.t % t || grid.h % h || grid.w % w) {
            fail("%s cannot divide %zu frames of %zu x %zu patches: its %s step needs multiples "
                 "of %zu (frames), %zu (rows) and %zu (columns)",
                 config->scheme->name, grid.t, grid.h, grid.w, step->name, t, h, w);
        }
    }
}

/* ---- The config ---- */

static const Json *field(const Json *json, const char *name, JsonKind kind) {
    const Json *found = json_member(json, name);
    if (!found || found->kind != kind) {
        fail("the config has no %s, or of another type", name);
    }
    return found;
}

static size_t count_field(const Json *json, const char *name) {
    double number = field(json, name, JSON_NUMBER)->number;
    if (!(number >= 1 && number <= 1e9) || number != floor(number)) {
        fail("%s %g is impossible: use a whole number above 0", name, number);
    }
    return (size_t)number;
}

static void check_config(const Config *c) {
    if (!(c->layer_norm_eps > 0 && c->layer_norm_eps < 1)) {
        fail("layer_norm_eps %g is impossible: use a number between 0 and 1", c->layer_norm_eps);
    }
    if (c->image_size % c->patch_size) {
        fail("image_size %zu is not a multiple of patch_size %zu", c->image_size, c->patch_size);
    }
    if (c->hidden_size % c->num_attention_heads) {
        fail("hidden_size %zu is not a multiple of num_attention_heads %zu", c->hidden_size,
             c->num_attention_heads);
    }
    size_t side = c->image_size / c->patch_size;
    check_groups(c, (Grid){c->num_frames, side, side});
}

Config read_config(const char *source) {
    char *copy = allocate(&scratch, strlen(source) + 1, 1);
    const Json *json = json_parse(&scratch, strcpy(copy, source), "the config");
    Config config = {
        .image_size = count_field(json, "image_size"),
        .patch_size = count_field(json, "patch_size"),
        .num_channels = count_field(json, "num_channels"),
        .num_frames = count_field(json, "num_frames"),
        .hidden_size = count_field(json, "hidden_size"),
        .num_hidden_layers = count_field(json, "num_hidden_layers"),
        .num_attention_heads = count_field(json, "num_attention_heads"),
        .intermediate_size = count_field(json, "intermediate_size"),
        .num_labels = count_field(json, "num_labels"),
        .layer_norm_eps = field(json, "layer_norm_eps", JSON_NUMBER)->number,
        .qkv_bias = field(json, "qkv_bias", JSON_BOOL)->number != 0,
        .scheme = find_scheme(field(json, "attention_type", JSON_STRING)->string),
    };
    check_config(&config);
    return config;
}
