#include "safetensors.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "json.h"

const char *const TYPE_NAMES[TYPES] = {[F32] = "F32", [F64] = "F64", [I64] = "I64", [U8] = "U8"};
static const size_t TYPE_SIZES[TYPES] = {[F32] = 4, [F64] = 8, [I64] = 8, [U8] = 1};

size_t count_of(Shape shape) {
    size_t count = 1;
    for (size_t i = 0; i < shape.rank; i++) {
        if (shape.size[i] && count > SIZE_MAX / 16 / shape.size[i]) {
            fail("a tensor of shape %s is too large", shape_text(shape));
        }
        count *= shape.size[i];
    }
    return count;
}

const char *shape_text(Shape shape) {
    const char *list = "";
    for (size_t i = 0; i < shape.rank; i++) {
        list = text("%s%s%zu", list, i ? ", " : "", shape.size[i]);
    }
    return text("(%s)", list);
}

bool same_shape(Shape a, Shape b) {
    return a.rank == b.rank && memcmp(a.size, b.size, a.rank * sizeof a.size[0]) == 0;
}

static Tensor *new_tensor(Arena *arena, File *file) {
    Tensor *tensor = allocate(arena, 1, sizeof *tensor);
    tensor->next = file->tensors;
    return file->tensors = tensor;
}

void add_tensor(File *file, const char *name, Type type, Shape shape, void *data) {
    Tensor *tensor = new_tensor(&scratch, file);
    *tensor = (Tensor){name, type, shape, data, tensor->next};
}

void add_metadata(Arena *arena, File *file, const char *key, const char *value) {
    Metadata *new = allocate(arena, 1, sizeof *new);
    *new = (Metadata){key, value, file->metadata};
    file->metadata = new;
}

const Tensor *find_tensor(const File *file, const char *name) {
    const Tensor *tensor = file->tensors;
    while (tensor && strcmp(tensor->name, name) != 0) {
        tensor = tensor->next;
    }
    return tensor;
}

const char *find_metadata(const File *file, const char *key) {
    const Metadata *entry = file->metadata;
    while (entry && strcmp(entry->key, key) != 0) {
        entry = entry->next;
    }
    return entry ? entry->value : NULL;
}

/* ---- Reading ---- */

typedef struct {
    const char *path;
    unsigned char *data;
    size_t size;
} Bytes;

static Bytes read_bytes(Arena *arena, const char *path) {
    FILE *stream = fopen(path, "rb");
    if (!stream) {
        fail("%s cannot be opened", path);
    }
    long size = fseek(stream, 0, SEEK_END) == 0 ? ftell(stream) : -1;
    rewind(stream);
    Bytes file = {path, NULL, (size_t)size};
    file.data = size < 0 || size == LONG_MAX ? NULL : try_allocate(arena, file.size, 1);
    size_t read = file.data ? fread(file.data, 1, file.size, stream) : 0;
    fclose(stream);
    if (!file.data || read != file.size) {
        fail("%s cannot be read", path);
    }
    return file;
}

/* A whole number of the header, at most `limit`. */
static size_t header_count(const Json *number, size_t limit, const char *name) {
    if (!number || number->kind != JSON_NUMBER || !(number->number >= 0) ||
        number->number > (double)limit || number->number != floor(number->number)) {
        fail("the header of %s needs a whole number from 0 to %zu in its place", name, limit);
    }
    return (size_t)number->number;
}

static Shape header_shape(const Json *list, const char *name) {
    Shape shape = {0};
    for (const Json *size = list->first; size; size = size->next) {
        if (shape.rank == MAX_RANK) {
            fail("%s has more than %d axes", name, MAX_RANK);
        }
        shape.size[shape.rank++] = header_count(size, (size_t)1 << 52, name);
    }
    return shape;
}

static Type header_type(const Json *dtype, const char *name) {
    for (int type = 0; type < TYPES; type++) {
        if (strcmp(dtype->string, TYPE_NAMES[type]) == 0) {
            return (Type)type;
        }
    }
    fail("%s is of type %s: F32, F64, I64 and U8 are read here", name, dtype->string);
}

static void read_tensor(Arena *arena, File *file, const Json *entry, Bytes bytes) {
    const Json *dtype = json_member(entry, "dtype"), *shape = json_member(entry, "shape");
    const Json *offsets = json_member(entry, "data_offsets");
    if (!dtype || dtype->kind != JSON_STRING || !shape || shape->kind != JSON_LIST || !offsets ||
        !offsets->first) {
        fail("the header of %s lacks a dtype, a shape or data_offsets", entry->key);
    }
    size_t begin = header_count(offsets->first, bytes.size, entry->key);
    size_t end = header_count(offsets->first->next, bytes.size, entry->key);
    Tensor *tensor = new_tensor(arena, file);
    tensor->name = entry->key;
    tensor->type = header_type(dtype, entry->key);
    tensor->shape = header_shape(shape, entry->key);
    size_t size = count_of(tensor->shape) * TYPE_SIZES[tensor->type];
    if (begin > end || end - begin != size) {
        fail("%s, %s of shape %s, does not lie in bytes %zu to %zu", entry->key, dtype->string,
             shape_text(tensor->shape), begin, end);
    }
    tensor->data = bytes.data + begin;
    if ((uintptr_t)tensor->data % TYPE_SIZES[tensor->type] != 0) {
        tensor->data = memcpy(allocate(arena, size, 1), bytes.data + begin, size);
    }
}

static void read_metadata(Arena *arena, File *file, const Json *entries) {
    for (const Json *entry = entries->first; entry; entry = entry->next) {
        if (!entry->key || entry->kind != JSON_STRING) {
            fail("the metadata are not all strings");
        }
        add_metadata(arena, file, entry->key, entry->string);
    }
}

/* The length of the header: 8 bytes, the lowest first. */
static size_t header_length(Bytes file) {
    uint64_t length = 0;
    for (size_t i = 0; i < 8 && i < file.size; i++) {
        length |= (uint64_t)file.data[i] << (8 * i);
    }
    if (file.size < 8 || length > file.size - 8) {
        fail("%s is no safetensors file: its header does not fit in its %zu bytes", file.path,
             file.size);
    }
    return (size_t)length;
}

File read_file(Arena *arena, const char *path) {
    Bytes bytes = read_bytes(arena, path);
    size_t length = header_length(bytes);
    char *source = memcpy(allocate(arena, length + 1, 1), bytes.data + 8, length);
    const Json *header = json_parse(arena, source, path);
    if (header->kind != JSON_OBJECT) {
        fail("the header of %s is no JSON object", path);
    }
    Bytes data = {path, bytes.data + 8 + length, bytes.size - 8 - length};
    File file = {0};
    for (const Json *entry = header->first; entry; entry = entry->next) {
        if (strcmp(entry->key, "__metadata__") == 0) {
            read_metadata(arena, &file, entry);
        } else {
            read_tensor(arena, &file, entry, data);
        }
    }
    return file;
}

/* ---- Writing ---- */

/* Only ASCII is written, so that the header is UTF-8 whatever an error quotes. */
static void write_string(FILE *stream, const char *string) {
    fputc('"', stream);
    for (; *string; string++) {
        if (*string == '"' || *string == '\\') {
            fprintf(stream, "\\%c", *string);
        } else {
            fputc(*string < ' ' || *string > '~' ? '?' : *string, stream);
        }
    }
    fputc('"', stream);
}

static void write_metadata(FILE *stream, const Metadata *metadata) {
    fputs("{\"__metadata__\":{", stream);
    for (const Metadata *entry = metadata; entry; entry = entry->next) {
        write_string(stream, entry->key);
        fputc(':', stream);
        write_string(stream, entry->value);
        fputs(entry->next ? "," : "", stream);
    }
    fputc('}', stream);
}

static void write_entry(FILE *stream, const Tensor *tensor, size_t begin, size_t end) {
    fputc(',', stream);
    write_string(stream, tensor->name);
    fprintf(stream, ":{\"dtype\":\"%s\",\"shape\":[", TYPE_NAMES[tensor->type]);
    for (size_t i = 0; i < tensor->shape.rank; i++) {
        fprintf(stream, "%s%zu", i ? "," : "", tensor->shape.size[i]);
    }
    fprintf(stream, "],\"data_offsets\":[%zu,%zu]}", begin, end);
}

static size_t size_of(const Tensor *tensor) {
    return count_of(tensor->shape) * TYPE_SIZES[tensor->type];
}

bool write_file(const File *file, const char *path) {
    FILE *stream = fopen(path, "wb");
    if (!stream) {
        return false;
    }
    fseek(stream, 8, SEEK_SET); /* the length comes when it is known */
    write_metadata(stream, file->metadata);
    size_t begin = 0;
    for (const Tensor *tensor = file->tensors; tensor; tensor = tensor->next) {
        write_entry(stream, tensor, begin, begin + size_of(tensor));
        begin += size_of(tensor);
    }
    fputc('}', stream);
    long end = ftell(stream);
    for (; end % 8; end++) {
        fputc(' ', stream);
    }
    for (const Tensor *tensor = file->tensors; tensor; tensor = tensor->next) {
        fwrite(tensor->data, 1, size_of(tensor), stream);
    }
    rewind(stream);
    for (int i = 0; i < 8; i++) {
        fputc((int)((uint64_t)(end - 8) >> (8 * i) & 255), stream);
    }
    bool written = !ferror(stream);
    return fclose(stream) == 0 && written;
}
