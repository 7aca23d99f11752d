#include "model.h"

#include <math.h>

/* Place i of `count` from start to end, as PyTorch's linspace computes it: in float32, from both
   ends to the middle, with fused multiply-adds; a few indices differ without them. */
static float linspace(float start, float end, int64_t count, int64_t i) {
    if (count == 1)
        return start;
    float step = (end - start) / (float)(count - 1);
    return i < count / 2 ? fmaf(step, (float)i, start) : fmaf(-step, (float)(count - 1 - i), end);
}

/* A clip lasts num_frames * sampling_rate frames of a video at 30 per second; of num_clips clips
   the first starts at frame 0 and the last ends before the video does. Where the video is too
   short, its last frame is repeated (original `datasets/decoder.py`). */
int64_t *frame_indices(const Sampling *s) {
    double span = (double)(s->sampling_rate * s->num_frames) / 30.0 * s->fps;
    double start = fmax((double)s->total - span, 0) * (double)s->clip / (double)s->num_clips;
    int64_t *indices = allocate((size_t)s->num_frames, sizeof *indices);
    for (int64_t i = 0; i < s->num_frames; i++) {
        float place = linspace((float)start, (float)(start + span - 1), s->num_frames, i);
        indices[i] = (int64_t)fminf(fmaxf(place, 0), (float)(s->total - 1));
    }
    return indices;
}

/* The middle frame of each of num_frames equal segments. Bounds are rounded half to even, the
   middle is rounded down (original `datasets/ssv2.py`, test). */
int64_t *segment_indices(int64_t total, int64_t num_frames) {
    double length = (double)(total - 1) / (double)num_frames;
    int64_t *indices = allocate((size_t)num_frames, sizeof *indices);
    for (int64_t i = 0; i < num_frames; i++) {
        double bounds = rint(length * (double)i) + rint(length * (double)(i + 1));
        indices[i] = (int64_t)bounds / 2;
    }
    return indices;
}

/* ---- Views ---- */

/* Between which two places of an axis a place of the resized axis lies, and how near the second:
   pixels are areas (PyTorch's bilinear interpolate without align_corners). */
typedef struct {
    size_t below, above;
    double share;
} Between;

static Between between(size_t size, size_t new_size, size_t place) {
    double source = fmax(((double)place + 0.5) * (double)size / (double)new_size - 0.5, 0);
    size_t below = (size_t)source < size ? (size_t)source : size - 1;
    return (Between){below, below + 1 < size ? below + 1 : below, source - (double)below};
}

/* Normalised first, so that resized values are not rounded to bytes. */
static double pixel(const Tensor *frames, size_t t, size_t y, size_t x, size_t colour) {
    const size_t *size = frames->shape.size;
    const unsigned char *pixels = frames->data;
    return (pixels[((t * size[1] + y) * size[2] + x) * COLOURS + colour] / 255.0 - 0.45) / 0.225;
}

static double pixel_between(const Tensor *f, size_t t, Between y, Between x, size_t colour) {
    double upper = (1 - x.share) * pixel(f, t, y.below, x.below, colour) +
                   x.share * pixel(f, t, y.below, x.above, colour);
    double lower = (1 - x.share) * pixel(f, t, y.above, x.below, colour) +
                   x.share * pixel(f, t, y.above, x.above, colour);
    return (1 - y.share) * upper + y.share * lower;
}

/* A side once the shorter one is `scale`; the longer one is rounded down. */
static size_t resized(size_t side, size_t other, size_t scale) {
    size_t shorter = side < other ? side : other;
    return shorter == scale ? side : (size_t)((double)side / (double)shorter * (double)scale);
}

/* Where a view begins on an axis with this much room. */
static size_t corner(size_t room, bool along, size_t view) {
    return along && view == 0 ? 0 : along && view == 2 ? room : (room + 1) / 2;
}

/* Left, centre and right, or of upright frames top, centre and bottom (original
   `spatial_sampling`). */
float *crops(const Tensor *f, size_t scale, size_t crop) {
    size_t t = f->shape.size[0], H = f->shape.size[1], W = f->shape.size[2];
    size_t height = resized(H, W, scale), width = resized(W, H, scale);
    if (height < crop || width < crop)
        fail("a crop of %zu does not fit in %zu x %zu pixels", crop, height, width);
    float *views = allocate(VIEWS * t * COLOURS, crop * crop * sizeof *views), *to = views;
    for (size_t view = 0; view < VIEWS; view++) {
        size_t top = corner(height - crop, height > width, view);
        size_t left = corner(width - crop, height <= width, view);
        for (size_t frame = 0; frame < t; frame++)
            for (size_t colour = 0; colour < COLOURS; colour++)
                for (size_t y = top; y < top + crop; y++)
                    for (size_t x = left; x < left + crop; x++)
                        *to++ = (float)pixel_between(f, frame, between(H, height, y),
                                                     between(W, width, x), colour);
    }
    return views;
}
