/* What every file needs: the type of numbers, memory, and how a request is refused. */
#ifndef COMMON_H
#define COMMON_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef REAL
#define REAL float
#endif
typedef REAL real;

/* Memory that is freed all at once, or back to a mark: a former value of `last`. */
typedef struct Allocation Allocation;
typedef struct {
    Allocation *last;
} Arena;

extern Arena scratch; /* lives for one request */

void *allocate(Arena *arena, size_t count, size_t size); /* zeros; fails without memory */
void release(Arena *arena, Allocation *mark);            /* NULL frees everything */
real *reals(size_t count);                               /* zeros, in scratch */

enum { MAX_TEXT = 512 };
const char *text(const char *format, ...); /* as printf writes it, in scratch, cut to MAX_TEXT */

/* Refuse the request, in words: jumps to `refused`, which only main.c sets. */
extern jmp_buf refused;
extern char refusal[MAX_TEXT];
_Noreturn void fail(const char *format, ...);

#endif
