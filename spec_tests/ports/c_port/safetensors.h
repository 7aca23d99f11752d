/* safetensors files: a length, a JSON header of that length, then the tensors' bytes. */
#ifndef SAFETENSORS_H
#define SAFETENSORS_H

#include "common.h"

enum { MAX_RANK = 8 };

typedef struct {
    size_t rank, size[MAX_RANK];
} Shape;

#define SHAPE(...)                                                                                 \
    ((Shape){sizeof((size_t[]){__VA_ARGS__}) / sizeof(size_t), {__VA_ARGS__}})

typedef enum { F32, F64, I64, U8, TYPES } Type;

extern const char *const TYPE_NAMES[TYPES];
#define REAL_TYPE (sizeof(real) == sizeof(float) ? F32 : F64)

typedef struct Tensor {
    const char *name;
    Type type;
    Shape shape;
    void *data;
    struct Tensor *next;
} Tensor;

typedef struct Metadata {
    const char *key, *value;
    struct Metadata *next;
} Metadata;

typedef struct {
    Tensor *tensors;
    Metadata *metadata;
} File;

size_t count_of(Shape shape); /* how many numbers; fails where that overflows */
const char *shape_text(Shape shape);

File read_file(Arena *arena, const char *path);      /* fails with what is wrong with it */
bool write_file(const File *file, const char *path); /* false where it cannot be written */

const Tensor *find_tensor(const File *file, const char *name); /* or NULL */
const char *find_metadata(const File *file, const char *key);  /* or NULL */
void add_tensor(Arena *arena, File *file, Tensor tensor);
void add_metadata(Arena *arena, File *file, const char *key, const char *value);

#endif
