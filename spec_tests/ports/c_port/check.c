/* Do a program's responses agree with the vectors (docs/ports.md)? For programs in any language.

   timesformer_check requests VECTORS RESPONSES   writes the lines that the program reads
   timesformer_check compare VECTORS RESPONSES    compares what it wrote, and reports */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model.h"

enum { FLOAT64, FLOAT32, BFLOAT16, FLOAT16, ARITHMETICS }; /* the order of bounds */

typedef struct {
    const char *vectors, *responses; /* folders */
    const char *weights, *file, *name;
} Case;

static const char *response_of(const Case *c, const char *name) {
    return text("%s/%s.safetensors", c->responses, name);
}

static bool has(const File *file, const char *name) {
    return strstr(file->header, text("\"%s\":", name)) != NULL;
}

static const char *metadata(const File *file, const char *name) {
    return string_of(value_of(file->header, name));
}

/* ---- Numbers of any type, as double ---- */

typedef struct { Shape shape; double *x; } Numbers;

static Numbers numbers(const File *file, const char *name) {
    const char *type = string_of(value_of(value_of(file->header, name), "dtype"));
    Type of = strcmp(type, "F32") == 0 ? F32 : strcmp(type, "F64") == 0 ? F64 : I64;
    Tensor tensor = read_tensor(file, name, of);
    size_t count = count_of(tensor.shape);
    Numbers found = {tensor.shape, allocate(count, sizeof *found.x)};
    for (size_t i = 0; i < count; i++)
        found.x[i] = of == F32   ? ((float *)tensor.data)[i]
                     : of == F64 ? ((double *)tensor.data)[i]
                                 : (double)((int64_t *)tensor.data)[i];
    return found;
}

/* ---- What is checked ---- */

/* The part of the response by this name, which has to have this shape. */
static void check_part(const Case *c, const File *file, const File *response, const char *name,
                       Shape shape) {
    Numbers found = numbers(response, name);
    if (memcmp(&found.shape, &shape, sizeof shape) != 0)
        fail("%s has another shape than expected", name);
    for (size_t i = 0; i < count_of(shape); i++)
        if (!isfinite(found.x[i]))
            fail("%s has a number that is not finite", name);
    if (!has(file, text("expected.%s", name)))
        return;
    double *asked = numbers(file, text("expected.%s", name)).x, *right = asked;
    double bound = numbers(file, text("bound.%s", name)).x[FLOAT32];
    if (has(file, "same_as")) {
        File other = open_file(response_of(c, metadata(file, "same_as")));
        right = numbers(&other, name).x;
    }
    for (size_t i = 0; i < count_of(shape); i++)
        if (!isnan(asked[i]) && !(fabs(found.x[i] - right[i]) <= bound))
            fail("%s: number %zu is %.9g, expected %.9g; the bound is %.1e", name, i, found.x[i],
                 right[i], bound);
}

typedef enum { PASSED, FAILED, NOT_OFFERED, OUTCOMES } Outcome;

/* Fails where the response is wrong. */
static Outcome check(const Case *c) {
    File file = open_file(text("%s/%s", c->vectors, c->file));
    File response = open_file(response_of(c, c->name));
    bool refusal = strcmp(metadata(&file, "check"), "refusal") == 0;
    if (has(&response, "unsupported"))
        return NOT_OFFERED;
    if (has(&response, "error")) {
        if (!refusal && !has(&file, "may_refuse"))
            fail("error: %s", metadata(&response, "error"));
        return refusal ? PASSED : NOT_OFFERED;
    }
    if (refusal)
        fail("an answer, expected an error");
    char *shapes = (char *)metadata(&file, "shapes"), *name;
    size_t parts = 0, given = 0;
    for (; (name = strchr(shapes, '"')); parts++) {
        char *end = strchr(++name, '"');
        *end = '\0';
        shapes = strchr(end + 1, ']');
        check_part(c, &file, &response, name, whole_numbers(strchr(end + 1, '[')));
    }
    for (const char *at = response.header; (at = strstr(at, "\"dtype\"")); at++)
        given++;
    if (given > parts)
        fail("%zu tensors, expected %zu", given, parts);
    return PASSED;
}

static Outcome report(const Case *c) {
    if (setjmp(refused) == 0)
        return check(c);
    printf("%s: %s\n", c->name, refusal);
    return FAILED;
}

/* ---- The list of cases ---- */

/* Cuts a line at its first tab, and returns what follows. */
static char *cut(char *line) {
    char *tab = strchr(line, '\t');
    if (!tab)
        return line;
    *tab = '\0';
    return tab + 1;
}

/* The name of a file without folder and ending. */
static char *stem(char *path) {
    char *slash = strrchr(path, '/');
    path = slash ? slash + 1 : path;
    *strrchr(path, '.') = '\0';
    return path;
}

int main(int count, char **arguments) {
    static char line[1 << 16];
    bool compare = count == 4 && strcmp(arguments[1], "compare") == 0;
    if (count != 4 || !(compare || strcmp(arguments[1], "requests") == 0)) {
        fputs("usage: timesformer_check requests|compare VECTORS RESPONSES\n", stderr);
        return EXIT_FAILURE;
    }
    Case c = {.vectors = arguments[2], .responses = arguments[3]};
    FILE *list = fopen(text("%s/requests.tsv", c.vectors), "r");
    if (!list) {
        fprintf(stderr, "there is no %s/requests.tsv: timesformer-ref vectors %s writes it\n",
                c.vectors, c.vectors);
        return EXIT_FAILURE;
    }
    size_t outcomes[OUTCOMES] = {0};
    const Memory *mark = memory;
    for (; fgets(line, sizeof line, list); release(mark)) {
        char *file = cut(line), *response = cut(file);
        c.weights = *line ? text("%s/%s", c.vectors, line) : "";
        c.file = file;
        c.name = stem(response);
        if (compare)
            outcomes[report(&c)]++;
        else
            printf("%s\t%s/%s\t%s\n", c.weights, c.vectors, file, response_of(&c, c.name));
    }
    fclose(list);
    if (compare)
        printf("%zu cases passed, %zu failed, %zu not offered\n", outcomes[PASSED],
               outcomes[FAILED], outcomes[NOT_OFFERED]);
    return outcomes[FAILED] ? EXIT_FAILURE : EXIT_SUCCESS;
}
