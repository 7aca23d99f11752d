/* Which frames of a video make a clip, and which pixels of them the views. */
#ifndef INPUT_H
#define INPUT_H

#include "common.h"

/* All counts are from 1 to 1e9. */
typedef struct {
    int64_t total, num_frames, sampling_rate, clip, num_clips;
    double fps;
} Sampling;

int64_t *frame_indices(const Sampling *sampling);
int64_t *segment_indices(int64_t total, int64_t num_frames);

enum { VIEWS = 3, COLOURS = 3 };

typedef struct {
    size_t t, H, W;
    const unsigned char *pixels; /* t H W 3 */
} Frames;

real *crops(const Frames *frames, size_t scale, size_t crop); /* 3 t 3 crop crop */

#endif
