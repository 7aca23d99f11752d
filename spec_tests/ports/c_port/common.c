#include "common.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct Allocation {
    Allocation *previous;
    max_align_t data[];
};

Arena scratch;
jmp_buf refused;
char refusal[512];

void fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(refusal, sizeof refusal, format, values);
    va_end(values);
    longjmp(refused, 1);
}

void *try_allocate(Arena *arena, size_t count, size_t size) {
    if (count > (SIZE_MAX - sizeof(Allocation)) / size) {
        return NULL;
    }
    Allocation *new = calloc(1, sizeof *new + count * size);
    if (!new) {
        return NULL;
    }
    new->previous = arena->last;
    arena->last = new;
    return new->data;
}

void *allocate(Arena *arena, size_t count, size_t size) {
    void *new = try_allocate(arena, count, size);
    if (!new) {
        fail("out of memory: %zu times %zu bytes cannot be had", count, size);
    }
    return new;
}

void release(Arena *arena, Allocation *mark) {
    while (arena->last != mark) {
        Allocation *last = arena->last;
        arena->last = last->previous;
        free(last);
    }
}

real *reals(size_t count) {
    return allocate(&scratch, count, sizeof(real));
}

const char *text(const char *format, ...) {
    va_list values, again;
    va_start(values, format);
    va_copy(again, values);
    int length = vsnprintf(NULL, 0, format, values);
    char *written = allocate(&scratch, (size_t)length + 1, 1);
    vsnprintf(written, (size_t)length + 1, format, again);
    va_end(values);
    va_end(again);
    return written;
}
