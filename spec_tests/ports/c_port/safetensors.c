/* Memory, refusals, and safetensors files: a length, a JSON header of that length, then the bytes
   of tensors, which are copied as they lie there (little-endian). */
#include "model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct Memory {
    Memory *previous;
    max_align_t data[];
};

Memory *memory;
jmp_buf refused;
char refusal[MAX_TEXT];

void *allocate(size_t count, size_t size) {
    Memory *new = NULL;
    if (count < (SIZE_MAX - sizeof *new) / size)
        new = calloc(1, sizeof *new + count * size + 1);
    if (!new)
        fail("out of memory");
    new->previous = memory;
    memory = new;
    return new->data;
}

void release(const Memory *mark) {
    while (memory != mark) {
        Memory *last = memory;
        memory = last->previous;
        free(last);
    }
}

const char *text(const char *format, ...) {
    char *written = allocate(MAX_TEXT, 1);
    va_list values;
    va_start(values, format);
    vsnprintf(written, MAX_TEXT, format, values);
    va_end(values);
    return written;
}

void fail(const char *format, ...) {
    va_list values;
    va_start(values, format);
    vsnprintf(refusal, MAX_TEXT, format, values);
    va_end(values);
    longjmp(refused, 1);
}

/* ---- JSON ---- */

/* Quotes in the middle of a string are escaped, so that only names are found. */
const char *value_of(const char *json, const char *name) {
    const char *quoted = text("\"%s\"", name), *space = " \t\r\n";
    while ((json = strstr(json, quoted))) {
        json += strlen(quoted);
        json += strspn(json, space);
        if (*json == ':')
            return json + 1 + strspn(json + 1, space);
    }
    fail("there is no %s", name);
}

const char *string_of(const char *json) {
    char *string = allocate(strlen(json) + 1, 1), *to = string;
    for (json += *json == '"'; *json && *json != '"'; json++) {
        if (json[0] == '\\' && json[1])
            json++; /* only quotes and backslashes are ever escaped here */
        *to++ = *json;
    }
    return string;
}

Shape whole_numbers(const char *json) {
    Shape list = {0};
    for (char *end; list.rank < MAX_RANK; list.rank++, json = end) {
        json += strspn(json, "[, ");
        list.size[list.rank] = strtoull(json, &end, 10);
        if (end == json)
            break;
    }
    return list;
}

/* ---- Files ---- */

static const struct { const char *name; size_t size; } TYPES[] = {
    [F32] = {"\"F32\"", 4}, [F64] = {"\"F64\"", 8}, [I64] = {"\"I64\"", 8}, [U8] = {"\"U8\"", 1},
};

size_t count_of(Shape shape) {
    size_t count = 1;
    for (size_t i = 0; i < shape.rank; i++) {
        if (shape.size[i] && count > SIZE_MAX / 64 / shape.size[i])
            fail("a shape is too large");
        count *= shape.size[i];
    }
    return count;
}

static void *read_bytes(const char *path, uint64_t start, size_t size) {
    char *bytes = allocate(size, 1);
    FILE *stream = fopen(path, "rb");
    bool whole = stream && fseek(stream, (long)start, SEEK_SET) == 0 &&
                 fread(bytes, 1, size, stream) == size;
    if (stream)
        fclose(stream);
    if (!whole)
        fail("%s has no %zu bytes at %llu", path, size, (unsigned long long)start);
    return bytes;
}

File open_file(const char *path) {
    uint64_t length = *(uint64_t *)read_bytes(path, 0, sizeof length);
    return (File){path, read_bytes(path, sizeof length, length), sizeof length + length};
}

Tensor read_tensor(const File *file, const char *name, Type type) {
    const char *entry = value_of(file->header, name), *type_name = TYPES[type].name;
    Shape shape = whole_numbers(value_of(entry, "shape"));
    Shape offsets = whole_numbers(value_of(entry, "data_offsets"));
    size_t size = count_of(shape) * TYPES[type].size;
    if (strncmp(value_of(entry, "dtype"), type_name, strlen(type_name)) != 0)
        fail("%s is not of type %s", name, type_name);
    if (offsets.size[1] - offsets.size[0] != size)
        fail("%s has too many bytes, or too few", name);
    void *data = read_bytes(file->path, file->data + offsets.size[0], size);
    return (Tensor){name, type, shape, data, NULL};
}

void add_tensor(Response *response, const char *name, Type type, Shape shape, void *data) {
    Tensor *new = allocate(1, sizeof *new);
    *new = (Tensor){name, type, shape, data, response->tensors};
    response->tensors = new;
}

bool write_file(const Response *response, const char *path) {
    FILE *stream = fopen(path, "wb");
    if (!stream)
        return false;
    uint64_t length = 0;
    size_t begin = 0, end;
    fwrite(&length, sizeof length, 1, stream); /* overwritten when it is known */
    fprintf(stream, "{\"__metadata__\":{%s}", response->metadata);
    for (const Tensor *t = response->tensors; t; t = t->next, begin = end) {
        end = begin + count_of(t->shape) * TYPES[t->type].size;
        fprintf(stream, ",\"%s\":{\"dtype\":%s,\"shape\":[", t->name, TYPES[t->type].name);
        for (size_t i = 0; i < t->shape.rank; i++)
            fprintf(stream, "%s%zu", i ? "," : "", t->shape.size[i]);
        fprintf(stream, "],\"data_offsets\":[%zu,%zu]}", begin, end);
    }
    fputc('}', stream);
    length = (uint64_t)ftell(stream) - sizeof length;
    for (const Tensor *t = response->tensors; t; t = t->next)
        fwrite(t->data, TYPES[t->type].size, count_of(t->shape), stream);
    rewind(stream);
    fwrite(&length, sizeof length, 1, stream);
    bool written = !ferror(stream);
    return fclose(stream) == 0 && written;
}
