/* The model: its config, weights, layers, and passes forward and back.

   Lengths, in comments: b clips, t frames, c channels, H W pixels, h w patches of a frame,
   n = h w, p patch size, d width, a heads, k head width. Results are new memory in scratch. */
#ifndef MODEL_H
#define MODEL_H

#include "safetensors.h"

/* ---- config.c: what a TimeSformer is, and who attends to whom ---- */

enum { MAX_STEPS = 3 };

/* Frames, rows and columns of a clip's patches. */
typedef struct {
    size_t t, h, w;
} Grid;

/* How a step cuts an axis into pieces. Patches in the same piece of all three axes are a group. */
typedef enum { WHOLE, EACH, HALVES, PARITY } Cut;

typedef struct {
    const char *name;
    Cut t, h, w;
} Step;

typedef struct {
    const char *name;
    size_t count;
    const Step *steps[MAX_STEPS];
} Scheme;

typedef struct {
    size_t image_size, patch_size, num_channels, num_frames, hidden_size, num_hidden_layers,
        num_attention_heads, intermediate_size, num_labels;
    double layer_norm_eps;
    bool qkv_bias;
    const Scheme *scheme;
} Config;

/* The tokens of each group by their place in the sequence, group by group. */
typedef struct {
    size_t rows, members; /* of all groups, of one */
    real class_share;     /* of a copy of the class token in what the token gets: 1 / groups */
    size_t *tokens;
} Groups;

Config read_config(const char *json);               /* fails for an impossible model */
void check_groups(const Config *config, Grid grid); /* fails where a step cannot divide it */
bool separate_frames(const Config *config);         /* whether each frame is a clip of its own */
const char *scheme_names(void);                     /* as a JSON list */
size_t find_step(const Config *config, const char *name); /* its number in a block */
size_t token_at(Grid grid, size_t t, size_t y, size_t x); /* a patch's place in the sequence */
Groups group_tokens(const Config *config, size_t step, Grid grid);

/* ---- layers.c ---- */

typedef struct {
    size_t inputs, outputs;
    real *weight, *bias; /* outputs x inputs; NULL without a bias */
} Linear;

typedef struct {
    size_t width;
    double eps;
    real *weight, *bias;
} Norm;

/* How queries, keys and values lie: rows x 3 x a x k. Each `members` rows are a group. */
typedef struct {
    size_t rows, members, a, k;
} Heads;

typedef enum { QUERY, KEY, VALUE } Part;

real dot(const real *x, const real *y, size_t n);
void add_scaled(real *restrict sum, real scale, const real *restrict x, size_t n);
real *linear(const Linear *layer, size_t rows, const real *x);
void moments(const real *x, size_t n, double eps, double *mean, double *deviation);
real *layer_norm(const Norm *layer, size_t rows, const real *x);
real *gelu(size_t count, const real *x);
void softmax(real *x, size_t n); /* in place */
size_t place_of(Heads heads, size_t row, Part part, size_t head);
void attention_row(Heads heads, const real *qkv, size_t row, size_t head, real *attention);
real *attend(Heads heads, const real *qkv); /* rows x a x k */
size_t nearest(size_t size, size_t new_size, size_t place);

/* ---- weights.c: every weight, by its place in the model ---- */

typedef struct {
    Norm norm;
    Linear qkv, proj, fc; /* no fc in the last step */
} StepWeights;

typedef struct {
    StepWeights steps[MAX_STEPS];
    Norm norm2;
    Linear fc1, fc2;
} Block;

typedef struct {
    Config config;
    real *cls_token, *pos_embed, *time_embed; /* no time_embed where frames are separate */
    Linear patch_embed;
    Block *blocks;
    Norm norm;
    Linear head;
} Model;

Model read_weights(const Config *config, const File *file); /* fails for another model's */
Model zero_weights(const Config *config, File *file);       /* added to the file, as are these: */
Model fresh_weights(const Config *config, File *file, uint64_t seed);

/* ---- model.c: the forward pass ---- */

typedef struct {
    size_t b, t, c, H, W;
    const real *pixels;
} Video;

/* How tokens lie between blocks: sequences of the class token and h w t patches, time fastest.
   Each is a clip, or a frame where each frame is a clip of its own; then the grid's t is 1. */
typedef struct {
    size_t clips, count, length; /* of sequences, of a sequence's tokens */
    Grid grid;
} Sequences;

Grid clip_grid(const Config *config, const Video *video); /* fails for an impossible clip */
Sequences sequences_of(const Config *config, size_t clips, Grid clip);
size_t position(const Config *config, Grid grid, size_t y, size_t x);
const real *patch_pixels(const Config *config, const Video *video); /* b t n (c p p) */

real *patchify(const Model *m, const Video *video); /* b t (1 + n) d */
real *time_embedding(const Model *m, size_t b, size_t t, size_t n, const real *frames);
real *gather(Groups groups, size_t d, const real *tokens, real class_share);
void scatter_add(Groups groups, size_t d, const real *x, real class_share, real *tokens);
Heads heads_of(const Model *m, Groups groups);
void attention_step(const Model *m, size_t layer, size_t step, Sequences s, real *tokens);
void mlp(const Model *m, size_t layer, size_t rows, real *tokens);
void block(const Model *m, size_t layer, Sequences s, real *tokens);
real *class_tokens(const Model *m, Sequences s, const real *tokens); /* b d */
real *classifier(const Model *m, Sequences s, const real *tokens);   /* b labels */
real *forward(const Model *m, const Video *video);                   /* b labels */

/* ---- gradients.c ---- */

/* The mean cross-entropy of a batch; `grads` gets each weight's gradient in that weight's place. */
real gradients(const Model *m, const Video *video, const int64_t *labels, const Model *grads);

#endif
