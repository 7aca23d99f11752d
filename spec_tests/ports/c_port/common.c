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
char refusal[MAX_TEXT];

void fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(refusal, sizeof refusal, format, values);
    va_end(values);
    longjmp(refused, 1);
}

void *allocate(Arena *arena, size_t count, size_t size) {
    Allocation *new = NULL;
    if (count <= (SIZE_MAX - sizeof *new) / size)
        new = calloc(1, sizeof *new + count * size);
    if (!new)
        fail("out of memory: %zu times %zu bytes cannot be had", count, size);
    new->previous = arena->last;
    arena->last = new;
    return new->data;
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
    char *written = allocate(&scratch, MAX_TEXT, 1);
    va_list values;
    va_start(values, format);
    vsnprintf(written, MAX_TEXT, format, values);
    va_end(values);
    return written;
}
