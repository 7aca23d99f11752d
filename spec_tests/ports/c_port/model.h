/* The forward pass. Lengths: b clips, t frames, c channels, H W pixels, h w patches of a frame,
   n = h w, p patch size, d width, s = 1 + n t tokens of a sequence.

   Where each frame is a clip of its own (space-only), sequences are frames: b is b t and t is 1. */
#ifndef MODEL_H
#define MODEL_H

#include "weights.h"

typedef struct {
    size_t b, t, c, H, W;
    const real *pixels;
} Video;

/* Sequences as they lie between blocks: how many, and the patches of one. */
typedef struct {
    size_t b;
    Grid grid;
} Sequences;

Grid clip_grid(const Config *config, const Video *video); /* fails for an impossible clip */
Sequences sequences_of(const Config *config, size_t b, Grid clip);
size_t tokens_in(Sequences s); /* of all sequences */

const real *patch_pixels(const Config *config, const Video *video); /* b t n (c p p) */
size_t position(const Config *config, Grid grid, size_t y, size_t x);

real *patchify(const Model *model, const Video *video);                  /* b t (1 + n) d */
real *time_embedding(const Model *model, size_t b, size_t t, size_t n, const real *frames);
void attention_step(const Model *model, size_t layer, size_t step, Sequences s, real *tokens);
void mlp(const Model *model, size_t layer, size_t rows, real *tokens);
void block(const Model *model, size_t layer, Sequences s, real *tokens);
real *class_tokens(const Model *model, Sequences s, size_t b, const real *tokens); /* b d */
real *classifier(const Model *model, Sequences s, size_t b, const real *tokens);   /* b labels */
real *forward(const Model *model, const Video *video);                             /* b labels */

/* Parts that the way back shares. */
real *gather(const Grouping *groups, size_t d, real class_share, const real *tokens);
void scatter_add(const Grouping *groups, size_t d, real class_share, const real *x, real *tokens);
real *attend_groups(const Model *model, const Grouping *groups, const real *qkv);

#endif
