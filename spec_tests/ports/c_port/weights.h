/* Every weight of a model, by its place in it. */
#ifndef WEIGHTS_H
#define WEIGHTS_H

#include "config.h"
#include "layers.h"
#include "safetensors.h"

typedef struct {
    Norm norm;
    Linear qkv, proj, fc; /* fc only where the step is not the last */
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

Model read_weights(const Config *config, const File *file);          /* fails for another model's */
Model zero_weights(const Config *config, File *file);                /* also added to the file */
Model fresh_weights(const Config *config, uint64_t seed, File *file); /* also added to the file */

#endif
