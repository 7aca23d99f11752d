/* The line protocol of docs/ports.md: one line a request, one function a table entry. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gradients.h"
#include "input.h"
#include "json.h"

/* ---- What a request holds ---- */

typedef struct {
    const char *weights; /* the path */
    File file;
} Request;

static const char *argument(const Request *request, const char *name) {
    const char *found = find_metadata(&request->file, name);
    if (!found) {
        fail("the request has no %s", name);
    }
    return found;
}

static int64_t integer(const Request *request, const char *name, int64_t least, int64_t most) {
    const char *digits = argument(request, name);
    char *end;
    errno = 0;
    long long number = strtoll(digits, &end, 10);
    if (end == digits || *end || errno || number < least || number > most) {
        fail("%s %s is impossible: use a whole number from %lld to %lld", name, digits,
             (long long)least, (long long)most);
    }
    return number;
}

static int64_t count(const Request *request, const char *name) {
    return integer(request, name, 1, 1000000000);
}

static const Tensor *tensor(const Request *request, const char *name, Type type, size_t rank) {
    const Tensor *found = find_tensor(&request->file, name);
    if (!found) {
        fail("the request has no tensor %s", name);
    }
    if (found->type != type || found->shape.rank != rank) {
        fail("%s is %s of shape %s: %s with %zu axes is needed", name, TYPE_NAMES[found->type],
             shape_text(found->shape), TYPE_NAMES[type], rank);
    }
    return found;
}

static Config config_of(const Request *request) {
    return read_config(argument(request, "config"));
}

/* The weights of the last request are kept: one path always means the same weights. */
static struct {
    Arena arena;
    char *path;
    File file;
} kept;

static void forget(void) {
    release(&kept.arena, NULL);
    kept.path = NULL;
}

static Model model_of(const Request *request) {
    Config config = config_of(request);
    if (!kept.path || strcmp(kept.path, request->weights) != 0) {
        forget();
        kept.file = read_file(&kept.arena, request->weights);
        char *path = allocate(&kept.arena, strlen(request->weights) + 1, 1);
        kept.path = strcpy(path, request->weights);
    }
    return read_weights(&config, &kept.file);
}

static Video video_of(const Request *request) {
    const Tensor *input = tensor(request, "input", REAL_TYPE, 5);
    const size_t *size = input->shape.size;
    return (Video){size[0], size[1], size[2], size[3], size[4], input->data};
}

static size_t layer_of(const Request *request, const Model *model) {
    return (size_t)integer(request, "layer", 0, (int64_t)model->config.num_hidden_layers - 1);
}

static Grid grid_of(const Request *request, const Config *config) {
    const char *list = argument(request, "grid");
    char *copy = allocate(&scratch, strlen(list) + 1, 1);
    const Json *json = json_parse(&scratch, strcpy(copy, list), "the grid"), *size = json->first;
    size_t sizes[3];
    for (int axis = 0; axis < 3; axis++, size = size->next) {
        if (!size || size->kind != JSON_NUMBER || !(size->number >= 1 && size->number <= 1e6)) {
            fail("the grid is not a list of three whole numbers above 0");
        }
        sizes[axis] = (size_t)size->number;
    }
    Grid grid = {sizes[0], sizes[1], sizes[2]};
    check_groups(config, grid);
    return grid;
}

/* Tokens between blocks, to be changed in place. */
static real *tokens_of(const Request *request, const Model *model, size_t *b, size_t *s) {
    const Tensor *input = tensor(request, "input", REAL_TYPE, 3);
    if (input->shape.size[2] != model->config.hidden_size || count_of(input->shape) == 0) {
        fail("tokens of shape %s: the model has tokens of width %zu", shape_text(input->shape),
             model->config.hidden_size);
    }
    *b = input->shape.size[0];
    *s = input->shape.size[1];
    return input->data;
}

/* The same, and how they lie in sequences of a clip's grid; `b` clips. */
static real *sequences(const Request *request, const Model *model, Sequences *s, size_t *b) {
    Grid grid = grid_of(request, &model->config);
    size_t count, length;
    real *tokens = tokens_of(request, model, &count, &length);
    *b = separate_frames(&model->config) ? count / grid.t : count;
    *s = sequences_of(&model->config, *b, grid);
    if (*b == 0 || s->b != count || length != 1 + patches(s->grid)) {
        fail("%zu sequences of %zu tokens are not what a clip of %zu x %zu x %zu patches has",
             count, length, grid.t, grid.h, grid.w);
    }
    return tokens;
}

/* ---- The functions ---- */

static void describe(const Request *request, File *response) {
    (void)request;
    add_metadata(&scratch, response, "NAME", "TimeSformer in C11");
    add_metadata(&scratch, response, "DTYPE", REAL_TYPE == F32 ? "float32" : "float64");
    add_metadata(&scratch, response, "ATTENTION_TYPES", scheme_names());
}

static void run_forward(const Request *request, File *response) {
    Model m = model_of(request);
    Video v = video_of(request);
    add_tensor(response, "output", REAL_TYPE, SHAPE(v.b, m.config.num_labels), forward(&m, &v));
}

static void run_patchify(const Request *request, File *response) {
    Model m = model_of(request);
    Video v = video_of(request);
    Grid grid = clip_grid(&m.config, &v);
    Shape shape = SHAPE(v.b, v.t, 1 + grid.h * grid.w, m.config.hidden_size);
    add_tensor(response, "output", REAL_TYPE, shape, patchify(&m, &v));
}

static void run_time_embedding(const Request *request, File *response) {
    Model m = model_of(request);
    const Tensor *frames = tensor(request, "input", REAL_TYPE, 4);
    size_t b = frames->shape.size[0], t = frames->shape.size[1], s = frames->shape.size[2];
    size_t d = m.config.hidden_size;
    if (frames->shape.size[3] != d || count_of(frames->shape) == 0) {
        fail("frames of shape %s: the model has tokens of width %zu", shape_text(frames->shape), d);
    }
    Shape shape = m.time_embed ? SHAPE(b, 1 + (s - 1) * t, d) : SHAPE(b * t, s, d);
    add_tensor(response, "output", REAL_TYPE, shape, time_embedding(&m, b, t, s - 1, frames->data));
}

static void run_attention_step(const Request *request, File *response) {
    Model m = model_of(request);
    Sequences s;
    size_t b, layer = layer_of(request, &m);
    real *tokens = sequences(request, &m, &s, &b);
    attention_step(&m, layer, find_step(&m.config, argument(request, "step")), s, tokens);
    add_tensor(response, "output", REAL_TYPE, tensor(request, "input", REAL_TYPE, 3)->shape, tokens);
}

static void run_mlp(const Request *request, File *response) {
    Model m = model_of(request);
    size_t b, s, layer = layer_of(request, &m);
    real *tokens = tokens_of(request, &m, &b, &s);
    mlp(&m, layer, b * s, tokens);
    add_tensor(response, "output", REAL_TYPE, SHAPE(b, s, m.config.hidden_size), tokens);
}

static void run_block(const Request *request, File *response) {
    Model m = model_of(request);
    Sequences s;
    size_t b, layer = layer_of(request, &m);
    real *tokens = sequences(request, &m, &s, &b);
    block(&m, layer, s, tokens);
    add_tensor(response, "output", REAL_TYPE, tensor(request, "input", REAL_TYPE, 3)->shape, tokens);
}

static void run_classifier(const Request *request, File *response) {
    Model m = model_of(request);
    Sequences s;
    size_t b;
    const real *tokens = sequences(request, &m, &s, &b);
    real *logits = classifier(&m, s, b, tokens);
    add_tensor(response, "output", REAL_TYPE, SHAPE(b, m.config.num_labels), logits);
}

static void run_gradients(const Request *request, File *response) {
    Model m = model_of(request);
    Video v = video_of(request);
    const Tensor *labels = tensor(request, "labels", I64, 1);
    const int64_t *label = labels->data;
    if (labels->shape.size[0] != v.b) {
        fail("%zu labels for %zu clips", labels->shape.size[0], v.b);
    }
    for (size_t i = 0; i < v.b; i++) {
        if (label[i] < 0 || label[i] >= (int64_t)m.config.num_labels) {
            fail("label %lld is not one of %zu", (long long)label[i], m.config.num_labels);
        }
    }
    Model grads = zero_weights(&m.config, response);
    real *loss = reals(1);
    *loss = gradients(&m, &v, label, &grads);
    add_tensor(response, "loss", REAL_TYPE, (Shape){0}, loss);
}

static void run_initial_weights(const Request *request, File *response) {
    Config config = config_of(request);
    fresh_weights(&config, (uint64_t)integer(request, "seed", 0, INT64_MAX), response);
}

static void run_frame_indices(const Request *request, File *response) {
    Sampling s = {
        .total = count(request, "total"),
        .num_frames = count(request, "num_frames"),
        .sampling_rate = count(request, "sampling_rate"),
        .num_clips = count(request, "num_clips"),
    };
    s.clip = integer(request, "clip", 0, s.num_clips - 1);
    const char *fps = argument(request, "fps");
    char *end;
    s.fps = strtod(fps, &end);
    if (end == fps || *end || !(s.fps > 0)) {
        fail("fps %s is impossible: use a number above 0", fps);
    }
    add_tensor(response, "output", I64, SHAPE((size_t)s.num_frames), frame_indices(&s));
}

static void run_segment_indices(const Request *request, File *response) {
    int64_t total = count(request, "total"), num_frames = count(request, "num_frames");
    Shape shape = SHAPE((size_t)num_frames);
    add_tensor(response, "output", I64, shape, segment_indices(total, num_frames));
}

static void run_crops(const Request *request, File *response) {
    const Tensor *input = tensor(request, "input", U8, 4);
    const size_t *size = input->shape.size;
    if (size[3] != COLOURS || count_of(input->shape) == 0) {
        fail("frames of shape %s: t H W 3 is needed", shape_text(input->shape));
    }
    Frames frames = {size[0], size[1], size[2], input->data};
    size_t scale = (size_t)count(request, "scale"), crop = (size_t)count(request, "crop");
    Shape shape = SHAPE(CROPS, frames.t, COLOURS, crop, crop);
    add_tensor(response, "output", REAL_TYPE, shape, crops(&frames, scale, crop));
}

/* ---- The protocol ---- */

static const struct {
    const char *name;
    void (*run)(const Request *request, File *response);
} FUNCTIONS[] = {
    {"describe", describe},
    {"forward", run_forward},
    {"patchify", run_patchify},
    {"time_embedding", run_time_embedding},
    {"attention_step", run_attention_step},
    {"mlp", run_mlp},
    {"block", run_block},
    {"classifier", run_classifier},
    {"gradients", run_gradients},
    {"initial_weights", run_initial_weights},
    {"frame_indices", run_frame_indices},
    {"segment_indices", run_segment_indices},
    {"crops", run_crops},
};

static void answer(const char *weights, const char *path, File *response) {
    Request request = {weights, read_file(&scratch, path)};
    const char *name = argument(&request, "function");
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; i++) {
        if (strcmp(name, FUNCTIONS[i].name) == 0) {
            FUNCTIONS[i].run(&request, response);
            return;
        }
    }
    add_metadata(&scratch, response, "unsupported", name);
}

/* False where the response cannot be written. */
static bool respond(const char *weights, const char *request, const char *path) {
    static File response;
    static Metadata error = {"error", refusal, NULL};
    response = (File){0};
    if (setjmp(refused) == 0) {
        answer(weights, request, &response);
    } else {
        response = (File){.metadata = &error};
    }
    bool written = write_file(&response, path);
    release(&scratch, NULL);
    return written;
}

/* Cuts the line at its first tab and returns what follows, or NULL. */
static char *cut(char *line) {
    char *tab = line ? strchr(line, '\t') : NULL;
    if (!tab) {
        return NULL;
    }
    *tab = '\0';
    return tab + 1;
}

int main(void) {
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = '\0';
        char *request = cut(line), *response = cut(request);
        if (!response) {
            fprintf(stderr, "a line needs three paths with tabs between them\n");
            return EXIT_FAILURE;
        }
        if (!respond(line, request, response)) {
            fprintf(stderr, "%s cannot be written\n", response);
            return EXIT_FAILURE;
        }
        puts("done");
        fflush(stdout);
    }
    forget();
    return EXIT_SUCCESS;
}
