/* Which frames of a video make a clip, and which pixels of them the views. */
#ifndef INPUT_H
#define INPUT_H

#include "common.h"

typedef struct {
    int64_t total, num_frames, sampling_rate, clip, num_clips;
    double fps;
} Sampling;

/* All counts are at most 1e9. */
int64_t *frame_indices(const Sampling *sampling);
int64_t *segment_indices(int64_t total, int64_t num_frames);

typedef struct {
    size_t t, H, W;
    const unsigned char *pixels; /* t H W 3 */
} Frames;

enum { CROPS = 3, COLOURS = 3 };

/* 3 t c crop crop. The scale is at least 1. */
real *crops(const Frames *frames, size_t scale, size_t crop);

#endif
