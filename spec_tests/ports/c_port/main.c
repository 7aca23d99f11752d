/* The line protocol of docs/ports.md: a line is a request, a table entry a function. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "model.h"

/* ---- What a request holds ---- */

typedef struct {
    File file;
    Config config; /* where the function takes one */
    Model model;   /* where it takes weights */
} Request;

static const char *argument(const Request *r, const char *name) {
    const char *found = find_metadata(&r->file, name);
    if (!found)
        fail("the request has no %s", name);
    return found;
}

static int64_t whole(const Request *r, const char *name, int64_t least, int64_t most) {
    const char *digits = argument(r, name);
    char *end;
    errno = 0;
    long long number = strtoll(digits, &end, 10);
    if (end == digits || *end || errno || number < least || number > most)
        fail("%s %s is impossible: use a whole number from %lld to %lld", name, digits,
             (long long)least, (long long)most);
    return number;
}

static int64_t count(const Request *r, const char *name) {
    return whole(r, name, 1, 1000000000);
}

static size_t layer(const Request *r) {
    return (size_t)whole(r, "layer", 0, (int64_t)r->config.num_hidden_layers - 1);
}

static const Tensor *tensor(const Request *r, const char *name, Type type, size_t rank) {
    const Tensor *found = find_tensor(&r->file, name);
    if (!found)
        fail("the request has no tensor %s", name);
    if (found->type != type || found->shape.rank != rank)
        fail("%s is %s of shape %s: %s with %zu axes is needed", name, TYPE_NAMES[found->type],
             shape_text(found->shape), TYPE_NAMES[type], rank);
    return found;
}

static Video video(const Request *r) {
    const Tensor *input = tensor(r, "input", REAL_TYPE, 5);
    const size_t *size = input->shape.size;
    return (Video){size[0], size[1], size[2], size[3], size[4], input->data};
}

/* Tokens of the model's width: of sequences (rank 3), or of the frames of clips (rank 4). */
static const Tensor *tokens(const Request *r, size_t rank) {
    const Tensor *input = tensor(r, "input", REAL_TYPE, rank);
    if (input->shape.size[rank - 1] != r->config.hidden_size || count_of(input->shape) == 0)
        fail("the input has shape %s, a token of this model has %zu numbers",
             shape_text(input->shape), r->config.hidden_size);
    return input;
}

static Grid grid(const Request *r) {
    double t = 0, h = 0, w = 0;
    sscanf(argument(r, "grid"), " [ %lf , %lf , %lf ]", &t, &h, &w);
    if (!(t >= 1 && h >= 1 && w >= 1 && t * h * w <= 1e15))
        fail("grid %s is impossible: use three whole numbers above 0", argument(r, "grid"));
    Grid clip = {(size_t)t, (size_t)h, (size_t)w};
    check_groups(&r->config, clip);
    return clip;
}

/* How the input's tokens lie. */
static Sequences sequences(const Request *r) {
    Grid clip = grid(r);
    Shape shape = tokens(r, 3)->shape;
    size_t clips = separate_frames(&r->config) ? shape.size[0] / clip.t : shape.size[0];
    Sequences s = sequences_of(&r->config, clips, clip);
    if (clips == 0 || s.count != shape.size[0] || s.length != shape.size[1])
        fail("tokens of shape %s are not those of clips of %zu x %zu x %zu patches",
             shape_text(shape), clip.t, clip.h, clip.w);
    return s;
}

/* ---- The functions ---- */

static void output(File *response, Type type, Shape shape, void *data) {
    add_tensor(&scratch, response, (Tensor){"output", type, shape, data, NULL});
}

static void describe(Request *r, File *response) {
    (void)r;
    add_metadata(&scratch, response, "NAME", "TimeSformer in C11");
    add_metadata(&scratch, response, "DTYPE", REAL_TYPE == F32 ? "float32" : "float64");
    add_metadata(&scratch, response, "ATTENTION_TYPES", scheme_names());
}

static void run_forward(Request *r, File *response) {
    Video v = video(r);
    output(response, REAL_TYPE, SHAPE(v.b, r->config.num_labels), forward(&r->model, &v));
}

static void run_patchify(Request *r, File *response) {
    Video v = video(r);
    Grid clip = clip_grid(&r->config, &v);
    Shape shape = SHAPE(v.b, v.t, 1 + clip.h * clip.w, r->config.hidden_size);
    output(response, REAL_TYPE, shape, patchify(&r->model, &v));
}

static void run_time_embedding(Request *r, File *response) {
    const Tensor *frames = tokens(r, 4);
    size_t b = frames->shape.size[0], t = frames->shape.size[1], n = frames->shape.size[2] - 1;
    size_t d = r->config.hidden_size;
    Shape shape = separate_frames(&r->config) ? SHAPE(b * t, 1 + n, d) : SHAPE(b, 1 + n * t, d);
    output(response, REAL_TYPE, shape, time_embedding(&r->model, b, t, n, frames->data));
}

/* These change the input's tokens in place. */

static void run_attention_step(Request *r, File *response) {
    size_t step = find_step(&r->config, argument(r, "step"));
    const Tensor *input = tokens(r, 3);
    attention_step(&r->model, layer(r), step, sequences(r), input->data);
    output(response, REAL_TYPE, input->shape, input->data);
}

static void run_mlp(Request *r, File *response) {
    const Tensor *input = tokens(r, 3);
    mlp(&r->model, layer(r), input->shape.size[0] * input->shape.size[1], input->data);
    output(response, REAL_TYPE, input->shape, input->data);
}

static void run_block(Request *r, File *response) {
    const Tensor *input = tokens(r, 3);
    block(&r->model, layer(r), sequences(r), input->data);
    output(response, REAL_TYPE, input->shape, input->data);
}

static void run_classifier(Request *r, File *response) {
    Sequences s = sequences(r);
    real *logits = classifier(&r->model, s, tokens(r, 3)->data);
    output(response, REAL_TYPE, SHAPE(s.clips, r->config.num_labels), logits);
}

static void run_gradients(Request *r, File *response) {
    Video v = video(r);
    const Tensor *labels = tensor(r, "labels", I64, 1);
    const int64_t *label = labels->data;
    if (labels->shape.size[0] != v.b)
        fail("%zu labels for %zu clips", labels->shape.size[0], v.b);
    for (size_t i = 0; i < v.b; i++)
        if (label[i] < 0 || label[i] >= (int64_t)r->config.num_labels)
            fail("label %lld is not one of %zu", (long long)label[i], r->config.num_labels);
    Model grads = zero_weights(&r->config, response);
    real *loss = reals(1);
    *loss = gradients(&r->model, &v, label, &grads);
    add_tensor(&scratch, response, (Tensor){"loss", REAL_TYPE, {0}, loss, NULL});
}

static void run_initial_weights(Request *r, File *response) {
    fresh_weights(&r->config, response, (uint64_t)whole(r, "seed", 0, INT64_MAX));
}

static void run_frame_indices(Request *r, File *response) {
    Sampling s = {
        .total = count(r, "total"),
        .num_frames = count(r, "num_frames"),
        .sampling_rate = count(r, "sampling_rate"),
        .num_clips = count(r, "num_clips"),
        .fps = strtod(argument(r, "fps"), NULL),
    };
    s.clip = whole(r, "clip", 0, s.num_clips - 1);
    if (!(s.fps > 0))
        fail("fps %s is impossible: use a number above 0", argument(r, "fps"));
    output(response, I64, SHAPE((size_t)s.num_frames), frame_indices(&s));
}

static void run_segment_indices(Request *r, File *response) {
    int64_t total = count(r, "total"), num_frames = count(r, "num_frames");
    output(response, I64, SHAPE((size_t)num_frames), segment_indices(total, num_frames));
}

static void run_crops(Request *r, File *response) {
    const Tensor *input = tensor(r, "input", U8, 4);
    const size_t *size = input->shape.size;
    if (size[3] != COLOURS || count_of(input->shape) == 0)
        fail("the input has shape %s, frames have t H W 3", shape_text(input->shape));
    Frames frames = {size[0], size[1], size[2], input->data};
    size_t scale = (size_t)count(r, "scale"), crop = (size_t)count(r, "crop");
    real *views = crops(&frames, scale, crop);
    output(response, REAL_TYPE, SHAPE(VIEWS, frames.t, COLOURS, crop, crop), views);
}

typedef enum { NOTHING, CONFIG, WEIGHTS } Needs;

static const struct {
    const char *name;
    Needs needs;
    void (*run)(Request *r, File *response);
} FUNCTIONS[] = {
    {"describe", NOTHING, describe},
    {"forward", WEIGHTS, run_forward},
    {"patchify", WEIGHTS, run_patchify},
    {"time_embedding", WEIGHTS, run_time_embedding},
    {"attention_step", WEIGHTS, run_attention_step},
    {"mlp", WEIGHTS, run_mlp},
    {"block", WEIGHTS, run_block},
    {"classifier", WEIGHTS, run_classifier},
    {"gradients", WEIGHTS, run_gradients},
    {"initial_weights", CONFIG, run_initial_weights},
    {"frame_indices", NOTHING, run_frame_indices},
    {"segment_indices", NOTHING, run_segment_indices},
    {"crops", NOTHING, run_crops},
};

/* ---- The protocol ---- */

/* The weights last read are kept: one path always means the same ones. */
static struct {
    Arena arena;
    const char *path; /* NULL while there are none */
    File file;
} kept;

static const File *weights_at(const char *path) {
    if (!kept.path || strcmp(kept.path, path) != 0) {
        kept.path = NULL;
        release(&kept.arena, NULL);
        kept.file = read_file(&kept.arena, path);
        kept.path = strcpy(allocate(&kept.arena, strlen(path) + 1, 1), path);
    }
    return &kept.file;
}

static void answer(const char *weights, const char *path, File *response) {
    Request request = {.file = read_file(&scratch, path)};
    const char *name = argument(&request, "function");
    for (size_t i = 0; i < sizeof FUNCTIONS / sizeof FUNCTIONS[0]; i++) {
        if (strcmp(name, FUNCTIONS[i].name) != 0)
            continue;
        if (FUNCTIONS[i].needs != NOTHING)
            request.config = read_config(argument(&request, "config"));
        if (FUNCTIONS[i].needs == WEIGHTS)
            request.model = read_weights(&request.config, weights_at(weights));
        FUNCTIONS[i].run(&request, response);
        return;
    }
    add_metadata(&scratch, response, "unsupported", name);
}

/* False where the response cannot be written. */
static bool respond(const char *weights, const char *request, const char *path) {
    static File response; /* static, since a refusal jumps back here */
    static Metadata error = {"error", refusal, NULL};
    response = (File){0};
    if (setjmp(refused) == 0)
        answer(weights, request, &response);
    else
        response = (File){NULL, &error};
    bool written = write_file(&response, path);
    release(&scratch, NULL);
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
            fprintf(stderr, "%s\n", response ? "the response cannot be written"
                                             : "a line needs three paths with tabs between them");
            return EXIT_FAILURE;
        }
        puts("done");
        fflush(stdout);
    }
    release(&kept.arena, NULL);
    return EXIT_SUCCESS;
}
