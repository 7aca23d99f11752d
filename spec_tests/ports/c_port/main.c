/* The line protocol of docs/ports.md: a line is a request, a table entry a function. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

typedef struct {
    File file, weights;
    Model model;  /* as far as the function takes a config and weights, */
    Tensor input; /* as this */
    Response response;
} Request;

/* ---- What a request holds, and what would lead out of bounds ---- */

static void need(bool right, const char *what) {
    if (!right)
        fail("wrong %s", what);
}

static const char *argument(Request *r, const char *name) {
    return string_of(value_of(r->file.header, name));
}

static int64_t whole(Request *r, const char *name, int64_t least, int64_t most) {
    int64_t number = atoll(argument(r, name));
    need(number >= least && number <= most, name);
    return number;
}

static int64_t count(Request *r, const char *name) {
    return whole(r, name, 1, 1000000000);
}

static size_t number(Request *r) {
    return (size_t)whole(r, "layer", 0, (int64_t)r->model.config.num_hidden_layers - 1);
}

static Tensor tensor(Request *r, const char *name, Type type, size_t rank) {
    Tensor found = read_tensor(&r->file, name, type);
    need(found.shape.rank == rank && count_of(found.shape) > 0, name);
    return found;
}

static Video video(Request *r) {
    const size_t *size = r->input.shape.size, p = r->model.config.patch_size;
    need(size[2] == r->model.config.num_channels, "channels");
    need(size[3] >= p && size[4] >= p, "frame size");
    return (Video){size[0], size[1], size[2], size[3], size[4], r->input.data};
}

/* The input as tokens of this model's width. */
static Rows tokens(Request *r) {
    size_t d = r->model.config.hidden_size;
    Shape shape = r->input.shape;
    need(shape.size[shape.rank - 1] == d, "width of tokens");
    return (Rows){count_of(shape) / d, d, r->input.data, NULL};
}

/* The clip's grid, if the input's tokens can lie on it. */
static Grid grid(Request *r) {
    const size_t *size = r->input.shape.size;
    Shape grid = whole_numbers(argument(r, "grid"));
    need(grid.rank == 3 && count_of(grid) > 0, "grid");
    Grid clip = {grid.size[0], grid.size[1], grid.size[2]};
    Grid sequence = sequence_grid(&r->model.config, clip);
    need(size[0] % (clip.t / sequence.t) == 0 &&
             size[1] == 1 + sequence.t * sequence.h * sequence.w, "grid for these tokens");
    return clip;
}

/* ---- The functions ---- */

static void answer(Request *r, Type type, Shape shape, void *data) {
    add_tensor(&r->response, "output", type, shape, data);
}

static void run_describe(Request *r) {
    r->response.metadata = text("\"NAME\":\"TimeSformer in C11\",\"ATTENTION_TYPES\":\"%s\"",
                                 scheme_names());
}

static void run_forward(Request *r) {
    Video v = video(r);
    answer(r, F32, (Shape){2, {v.b, r->model.config.num_labels}}, forward(&r->model, &v).x);
}

static void run_patchify(Request *r) {
    Video v = video(r);
    Rows y = patchify(&r->model, &v);
    answer(r, F32, (Shape){4, {v.b, v.t, y.count / v.b / v.t, y.width}}, y.x);
}

static void run_time_embedding(Request *r) {
    size_t b = r->input.shape.size[0], t = r->input.shape.size[1], n = r->input.shape.size[2] - 1;
    Rows y = time_embedding(&r->model, b, t, n, tokens(r));
    size_t sequences = r->model.config.scheme->separate_frames ? b * t : b;
    answer(r, F32, (Shape){3, {sequences, y.count / sequences, y.width}}, y.x);
}

static void run_attention_step(Request *r) {
    size_t step = find_step(&r->model.config, argument(r, "step"));
    Rows y = attention_step(&r->model, number(r), step, grid(r), tokens(r));
    answer(r, F32, r->input.shape, y.x);
}

static void run_mlp(Request *r) {
    answer(r, F32, r->input.shape, mlp(&r->model, number(r), tokens(r)).x);
}

static void run_block(Request *r) {
    Rows y = block(&r->model, number(r), grid(r), tokens(r));
    answer(r, F32, r->input.shape, y.x);
}

static void run_classifier(Request *r) {
    Rows y = classifier(&r->model, grid(r), tokens(r));
    answer(r, F32, (Shape){2, {y.count, y.width}}, y.x);
}

static void run_gradients(Request *r) {
    Video v = video(r);
    Tensor labels = tensor(r, "labels", I64, 1);
    const int64_t *label = labels.data;
    need(labels.shape.size[0] == v.b, "number of labels");
    for (size_t i = 0; i < v.b; i++)
        need(label[i] >= 0 && label[i] < (int64_t)r->model.config.num_labels, "label");
    float *loss = allocate(1, sizeof *loss);
    r->model.response = &r->response;
    *loss = gradients(&r->model, &v, label);
    add_tensor(&r->response, "loss", F32, (Shape){0}, loss);
}

static void run_initial_weights(Request *r) {
    r->model.random = (uint64_t)whole(r, "seed", 0, INT64_MAX);
    r->model.response = &r->response;
    initial_weights(&r->model);
}

static void run_frame_indices(Request *r) {
    Sampling s = {
        .total = count(r, "total"),
        .num_frames = count(r, "num_frames"),
        .sampling_rate = count(r, "sampling_rate"),
        .num_clips = count(r, "num_clips"),
        .clip = whole(r, "clip", 0, INT32_MAX),
        .fps = atof(argument(r, "fps")),
    };
    answer(r, I64, (Shape){1, {(size_t)s.num_frames}}, frame_indices(&s));
}

static void run_segment_indices(Request *r) {
    int64_t total = count(r, "total"), num_frames = count(r, "num_frames");
    answer(r, I64, (Shape){1, {(size_t)num_frames}}, segment_indices(total, num_frames));
}

static void run_crops(Request *r) {
    need(r->input.shape.size[3] == COLOURS, "channels");
    size_t scale = (size_t)count(r, "scale"), crop = (size_t)count(r, "crop");
    Shape shape = {5, {VIEWS, r->input.shape.size[0], COLOURS, crop, crop}};
    answer(r, F32, shape, crops(&r->input, scale, crop));
}

typedef enum { NOTHING, CONFIG, WEIGHTS } Needs;

/* With the axes and the type of the input. */
static const struct {
    const char *name;
    Needs needs;
    size_t rank;
    Type type;
    void (*run)(Request *r);
} FUNCTIONS[] = {
    {"describe", NOTHING, 0, F32, run_describe},
    {"forward", WEIGHTS, 5, F32, run_forward},
    {"patchify", WEIGHTS, 5, F32, run_patchify},
    {"time_embedding", WEIGHTS, 4, F32, run_time_embedding},
    {"attention_step", WEIGHTS, 3, F32, run_attention_step},
    {"mlp", WEIGHTS, 3, F32, run_mlp},
    {"block", WEIGHTS, 3, F32, run_block},
    {"classifier", WEIGHTS, 3, F32, run_classifier},
    {"gradients", WEIGHTS, 5, F32, run_gradients},
    {"initial_weights", CONFIG, 0, F32, run_initial_weights},
    {"frame_indices", NOTHING, 0, F32, run_frame_indices},
    {"segment_indices", NOTHING, 0, F32, run_segment_indices},
    {"crops", NOTHING, 4, U8, run_crops},
};

/* ---- The protocol ---- */

static void run(Request *r, const char *weights, const char *path) {
    r->file = open_file(path);
    const char *name = argument(r, "function");
    size_t i = 0, count = sizeof FUNCTIONS / sizeof FUNCTIONS[0];
    while (i < count && strcmp(name, FUNCTIONS[i].name) != 0)
        i++;
    if (i == count) {
        r->response.metadata = "\"unsupported\":\"\"";
        return;
    }
    if (FUNCTIONS[i].needs != NOTHING)
        r->model.config = read_config(argument(r, "config"));
    if (FUNCTIONS[i].needs == WEIGHTS) {
        r->weights = open_file(weights);
        r->model.file = &r->weights;
    }
    if (FUNCTIONS[i].rank > 0)
        r->input = tensor(r, "input", FUNCTIONS[i].type, FUNCTIONS[i].rank);
    FUNCTIONS[i].run(r);
}

/* False where the response cannot be written. */
static bool respond(const char *weights, const char *path, const char *response) {
    static Request request; /* static, since a refusal jumps back here */
    request = (Request){.response.metadata = ""};
    record_calls(false);
    if (setjmp(refused) == 0) {
        run(&request, weights, path);
    } else {
        for (char *c = refusal; *c; c++)
            if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
                *c = '?'; /* what JSON would have to escape */
        request.response = (Response){NULL, text("\"error\":\"%s\"", refusal)};
    }
    bool written = write_file(&request.response, response);
    release(NULL);
    return written;
}

/* Cuts a line at its first tab; returns what follows, or NULL. */
static char *cut(char *line) {
    char *tab = line ? strchr(line, '\t') : NULL;
    if (!tab)
        return NULL;
    *tab = '\0';
    return tab + 1;
}

int main(void) {
    static char line[1 << 16];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = '\0';
        char *request = cut(line), *response = cut(request);
        if (!response || !respond(line, request, response)) {
            fputs(response ? "the response cannot be written\n"
                           : "a line needs three paths with tabs between them\n", stderr);
            return EXIT_FAILURE;
        }
        puts("done");
        fflush(stdout);
    }
    return EXIT_SUCCESS;
}
