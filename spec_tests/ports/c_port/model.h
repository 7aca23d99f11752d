/* TimeSformer: files, config, layers, weights, model and input.

   Lengths, in comments: b clips, t frames, c channels, H W pixels, h w patches of a frame,
   n = h w, p patch size, d width, a heads, k head width. What functions return is new memory. */
#ifndef MODEL_H
#define MODEL_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- safetensors.c: memory, refusals, files ---- */

typedef struct Memory Memory;
extern Memory *memory; /* what was allocated last */

void *allocate(size_t count, size_t size); /* zeros, and one more byte of it */
void release(const Memory *mark); /* frees what was allocated since `memory` was `mark` */

enum { MAX_TEXT = 512 };
const char *text(const char *format, ...); /* as printf writes it, cut to MAX_TEXT */

extern jmp_buf refused; /* where `fail` jumps to */
extern char refusal[MAX_TEXT];
_Noreturn void fail(const char *format, ...);

enum { MAX_RANK = 6 };
typedef struct { size_t rank, size[MAX_RANK]; } Shape;

typedef enum { F32, F64, I64, U8 } Type;

typedef struct Tensor {
    const char *name;
    Type type;
    Shape shape;
    void *data;
    struct Tensor *next;
} Tensor;

typedef struct {
    const char *path, *header;
    size_t data; /* where the tensors begin */
} File;

typedef struct {
    Tensor *tensors;
    const char *metadata; /* members of a JSON object */
} Response;

/* All of these fail where the file or its JSON has not what is asked. */
const char *value_of(const char *json, const char *name);
const char *string_of(const char *json);
Shape whole_numbers(const char *json); /* of a list */
size_t count_of(Shape shape);
File open_file(const char *path);
Tensor read_tensor(const File *file, const char *name, Type type);
void add_tensor(Response *response, const char *name, Type type, Shape shape, void *data);
bool write_file(const Response *response, const char *path); /* false where it could not */

/* ---- config.c: what a TimeSformer is, and who attends to whom ---- */

/* How a step cuts an axis into pieces. Patches in the same piece of all three axes are a group. */
typedef enum { WHOLE, EACH, HALVES, PARITY } Cut;

typedef struct { const char *name; Cut t, h, w; } Step;

enum { MAX_STEPS = 3 };
typedef struct {
    const char *name;
    size_t count;
    const Step *steps[MAX_STEPS];
    bool separate_frames; /* each is a clip of its own up to the classifier */
} Scheme;

typedef struct {
    size_t image_size, patch_size, num_channels, num_frames, hidden_size, num_hidden_layers,
        num_attention_heads, intermediate_size, num_labels;
    double layer_norm_eps;
    bool qkv_bias;
    const Scheme *scheme;
} Config;

typedef struct { size_t t, h, w; } Grid; /* frames, rows and columns of patches */

/* The tokens of each group by their place in the sequence, group by group. */
typedef struct {
    size_t rows, members, a, k; /* of all groups, of one; heads, their width */
    float class_share;          /* of a copy of the class token in what the token gets */
    size_t *tokens;
} Groups;

Config read_config(const char *json);
const char *scheme_names(void);                           /* as a JSON list in a string */
size_t find_step(const Config *config, const char *name); /* its number in a block */
const Groups *group_tokens(const Config *config, size_t step, Grid grid);

/* ---- layers.c ---- */

/* Numbers, and their gradients while calls are recorded. */
typedef struct {
    size_t count, width;
    float *x, *d; /* count x width */
} Rows;

/* A linear layer, outputs x inputs, or a LayerNorm, with one weight for each output. */
typedef struct {
    Rows weight, bias; /* a bias that is switched off has no numbers */
    double eps;
} Layer;

void record_calls(bool on);
void go_back(void);              /* from the gradient of the last result to all before it */
void forget(const Memory *mark); /* release, unless calls are recorded */

Rows rows(size_t count, size_t width);
void add_row(Rows y, size_t to, float share, Rows x, size_t from);
Rows linear(Layer layer, Rows x);
Rows layer_norm(Layer layer, Rows x);
Rows gelu(Rows x);
double softmax(float *x, size_t n); /* in place; returns the logarithm of the sum of exponentials */
Rows attend(const Groups *groups, Rows qkv);
size_t nearest(size_t size, size_t new_size, size_t place);

/* ---- weights.c ---- */

/* NORMAL has standard deviation 0.02; FAN_IN is uniform within 1 / sqrt(inputs of one output). */
typedef enum { ZEROS, ONES, NORMAL, FAN_IN } Start;

typedef struct {
    Config config;
    const File *file;   /* the weights; NULL for fresh ones, */
    uint64_t random;    /* which are made from this */
    Response *response; /* what gradients or fresh weights are added to; else NULL */
} Model;

Rows table(Model *m, const char *name, size_t count, Start start);
Layer layer(Model *m, const char *name, Shape shape, Start start);

/* ---- model.c ---- */

typedef struct { size_t b, t, c, H, W; const float *pixels; } Video;

Grid sequence_grid(const Config *config, Grid clip); /* of the patches of one sequence */
Rows patchify(Model *m, const Video *video);   /* b t (1 + n) d */
Rows time_embedding(Model *m, size_t b, size_t t, size_t n, Rows frames);
Rows attention_step(Model *m, size_t number, size_t step, Grid clip, Rows tokens);
Rows mlp(Model *m, size_t number, Rows tokens);
Rows block(Model *m, size_t number, Grid clip, Rows tokens);
Rows classifier(Model *m, Grid clip, Rows tokens); /* b labels */
Rows forward(Model *m, const Video *video);        /* b labels */
float gradients(Model *m, const Video *video, const int64_t *labels); /* the loss */
void initial_weights(Model *m);

/* ---- input.c: which frames of a video make a clip, which pixels of them the views ---- */

typedef struct { int64_t total, num_frames, sampling_rate, clip, num_clips; double fps; } Sampling;
enum { VIEWS = 3, COLOURS = 3 };

int64_t *frame_indices(const Sampling *sampling);
int64_t *segment_indices(int64_t total, int64_t num_frames);
float *crops(const Tensor *frames, size_t scale, size_t crop); /* t H W 3 to 3 t 3 crop crop */

#endif
