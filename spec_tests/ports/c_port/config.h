/* What a TimeSformer is: its sizes, the attention schemes, and who attends to whom. */
#ifndef CONFIG_H
#define CONFIG_H

#include "common.h"

enum { MAX_STEPS = 3 };

/* Frames, rows and columns of a clip's patches. */
typedef struct {
    size_t t, h, w;
} Grid;

/* How a step cuts an axis into pieces; patches in the same piece of all three axes form a group. */
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

/* The tokens of each group by their index in the sequence, group by group. */
typedef struct {
    size_t groups, members;
    size_t *tokens;
} Grouping;

Config read_config(const char *json); /* fails for an impossible model */

bool separate_frames(const Config *config);         /* whether each frame is a clip of its own */
bool is_last(const Config *config, size_t step);    /* the step that the class token takes part in */
const char *scheme_names(void);                     /* as a JSON list */
size_t find_step(const Config *config, const char *name); /* its place in a block */
void check_groups(const Config *config, Grid grid); /* fails where a step cannot divide the grid */

size_t patches(Grid grid);
size_t token_at(Grid grid, size_t t, size_t y, size_t x); /* a patch's index in the sequence */
Grouping group_tokens(const Step *step, Grid grid, bool class_token);

#endif
