#include "input.h"

#include <float.h>
#include <math.h>

/* Place i of `count` from start to end, as PyTorch's linspace computes it in float32, from both
   ends to the middle and with fused multiply-adds: some indices rest on these roundings. */
static float linspace(float start, float end, int64_t count, int64_t i) {
    if (count == 1) {
        return start;
    }
    float step = (end - start) / (float)(count - 1);
    return i < count / 2 ? fmaf(step, (float)i, start) : fmaf(-step, (float)(count - 1 - i), end);
}

/* A clip lasts num_frames * sampling_rate frames of a video at 30 per second; of num_clips clips
   the first starts at frame 0 and the last ends before the video does. Where the video is too
   short, its last frame is repeated (original `datasets/decoder.py`). */
int64_t *frame_indices(const Sampling *s) {
    double span = (double)(s->sampling_rate * s->num_frames) / 30.0 * s->fps;
    double start = fmax((double)s->total - span, 0) * (double)s->clip / (double)s->num_clips;
    double end = start + span - 1;
    if (!(end < FLT_MAX)) {
        fail("fps %g is impossible: the clip is too long", s->fps);
    }
    int64_t *indices = allocate(&scratch, (size_t)s->num_frames, sizeof *indices);
    for (int64_t i = 0; i < s->num_frames; i++) {
        float place = linspace((float)start, (float)end, s->num_frames, i);
        indices[i] = (int64_t)fminf(fmaxf(place, 0), (float)(s->total - 1));
    }
    return indices;
}

/* The middle frame of each of num_frames equal segments. Bounds are rounded half to even, the
   middle is rounded down (original `datasets/ssv2.py`, test). */
int64_t *segment_indices(int64_t total, int64_t num_frames) {
    int64_t *indices = allocate(&scratch, (size_t)num_frames, sizeof *indices);
    double length = (double)(total - 1) / (double)num_frames;
    for (int64_t i = 0; i < num_frames; i++) {
        indices[i] = ((int64_t)rint(length * (double)i) + (int64_t)rint(length * (double)(i + 1))) / 2;
    }
    return indices;
}

/* ---- Views ---- */

/* Between which two places of an axis a place of the resized axis lies, and how near the second. */
typedef struct {
    size_t below, above;
    float share;
} Between;

/* Bilinear, pixels as areas: PyTorch's interpolate with align_corners=False. */
static Between between(size_t size, size_t new_size, size_t place) {
    float ratio = (float)size / (float)new_size;
    float source = fmaxf(ratio * ((float)place + 0.5f) - 0.5f, 0);
    size_t below = (size_t)source < size - 1 ? (size_t)source : size - 1;
    return (Between){below, below + (below < size - 1), source - (float)below};
}

static float normalised(const Frames *f, size_t frame, size_t y, size_t x, size_t colour) {
    float pixel = f->pixels[((frame * f->H + y) * f->W + x) * COLOURS + colour];
    return (pixel / 255 - 0.45f) / 0.225f;
}

static float pixel_between(const Frames *f, size_t frame, Between y, Between x, size_t colour) {
    float upper = (1 - x.share) * normalised(f, frame, y.below, x.below, colour) +
                  x.share * normalised(f, frame, y.below, x.above, colour);
    float lower = (1 - x.share) * normalised(f, frame, y.above, x.below, colour) +
                  x.share * normalised(f, frame, y.above, x.above, colour);
    return (1 - y.share) * upper + y.share * lower;
}

/* A side once the shorter one is `scale`; the longer one is rounded down. */
static size_t resized(size_t side, size_t other, size_t scale) {
    size_t shorter = side < other ? side : other;
    return shorter == scale ? side : (size_t)floor((double)side / (double)shorter * (double)scale);
}

/* Where view 0, 1 or 2 of an axis begins: the views lie along the longer side. */
static size_t corner(size_t room, bool longer, size_t view) {
    size_t centre = (room + 1) / 2;
    return !longer || view == 1 ? centre : view == 0 ? 0 : room;
}

/* Left, centre and right, or top, centre and bottom of upright frames; normalised, then resized
   (original `spatial_sampling`). */
real *crops(const Frames *f, size_t scale, size_t crop) {
    size_t height = resized(f->H, f->W, scale), width = resized(f->W, f->H, scale);
    if (height < crop || width < crop) {
        fail("a crop of %zu does not fit in a frame resized to %zu x %zu: use a scale of at least "
             "%zu", crop, height, width, crop);
    }
    bool upright = height > width;
    real *views = allocate(&scratch, CROPS * COLOURS * f->t, crop * crop * sizeof *views), *to = views;
    for (size_t i = 0; i < CROPS * f->t * COLOURS * crop * crop; i++) {
        size_t view = i / (crop * crop) / COLOURS / f->t, frame = i / (crop * crop) / COLOURS % f->t;
        size_t colour = i / (crop * crop) % COLOURS;
        size_t top = corner(height - crop, upright, view), left = corner(width - crop, !upright, view);
        Between y = between(f->H, height, top + i / crop % crop);
        Between x = between(f->W, width, left + i % crop);
        *to++ = pixel_between(f, frame, y, x, colour);
    }
    return views;
}
