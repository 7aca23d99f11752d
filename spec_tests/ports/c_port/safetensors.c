#include "safetensors.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const TYPE_NAMES[TYPES] = {[F32] = "F32", [F64] = "F64", [I64] = "I64", [U8] = "U8"};
static const size_t TYPE_SIZES[TYPES] = {[F32] = 4, [F64] = 8, [I64] = 8, [U8] = 1};

size_t count_of(Shape shape) {
    size_t count = 1;
    for (size_t i = 0; i < shape.rank; i++) {
        if (shape.size[i] && count > SIZE_MAX / 16 / shape.size[i])
            fail("a tensor of shape %s is too large", shape_text(shape));
        count *= shape.size[i];
    }
    return count;
}

static size_t bytes_of(const Tensor *tensor) {
    return count_of(tensor->shape) * TYPE_SIZES[tensor->type];
}

const char *shape_text(Shape shape) {
    const char *list = "";
    for (size_t i = 0; i < shape.rank; i++)
        list = text("%s%s%zu", list, i ? ", " : "", shape.size[i]);
    return text("(%s)", list);
}

void add_tensor(Arena *arena, File *file, Tensor tensor) {
    Tensor *new = allocate(arena, 1, sizeof *new);
    *new = tensor;
    new->next = file->tensors;
    file->tensors = new;
}

void add_metadata(Arena *arena, File *file, const char *key, const char *value) {
    Metadata *new = allocate(arena, 1, sizeof *new);
    *new = (Metadata){key, value, file->metadata};
    file->metadata = new;
}

const Tensor *find_tensor(const File *file, const char *name) {
    const Tensor *tensor = file->tensors;
    while (tensor && strcmp(tensor->name, name) != 0)
        tensor = tensor->next;
    return tensor;
}

const char *find_metadata(const File *file, const char *key) {
    const Metadata *entry = file->metadata;
    while (entry && strcmp(entry->key, key) != 0)
        entry = entry->next;
    return entry ? entry->value : NULL;
}

/* ---- The header's JSON ---- */

/* The header from where it is not read yet. */
typedef struct {
    char *at;
    const char *path; /* for errors */
} Header;

static _Noreturn void bad_header(const Header *header, const char *expected) {
    fail("the header of %s needs %s before '%.20s'", header->path, expected, header->at);
}

static bool take(Header *header, char c) {
    header->at += strspn(header->at, " \t\r\n");
    if (*header->at != c)
        return false;
    header->at++;
    return true;
}

static void expect(Header *header, char c) {
    if (!take(header, c))
        bad_header(header, (char[]){c, '\0'});
}

/* Before each member of a list or object, and at its end: false there. */
static bool more(Header *header, char close, bool *first) {
    if (take(header, close))
        return false;
    if (!*first)
        expect(header, ',');
    *first = false;
    return true;
}

/* Unescaped in place. Of what this port reads, only quotes and backslashes are ever escaped; other
   escapes lose their backslash. */
static const char *string(Header *header) {
    expect(header, '"');
    char *start = header->at, *end = start;
    for (; *header->at != '"'; header->at++) {
        if (*header->at == '\\')
            header->at++;
        if (!*header->at)
            bad_header(header, "the end of a string");
        *end++ = *header->at;
    }
    header->at++;
    *end = '\0';
    return start;
}

static const char *key(Header *header) {
    const char *name = string(header);
    expect(header, ':');
    return name;
}

static size_t whole_number(Header *header, size_t limit) {
    char *end;
    double number = strtod(header->at, &end);
    if (end == header->at || !(number >= 0 && number <= (double)limit) || number != floor(number))
        bad_header(header, text("a whole number up to %zu", limit));
    header->at = end;
    return (size_t)number;
}

/* A list of whole numbers. */
static Shape whole_numbers(Header *header, size_t limit) {
    Shape list = {0};
    expect(header, '[');
    for (bool first = true; more(header, ']', &first);) {
        if (list.rank == MAX_RANK)
            bad_header(header, text("at most %d numbers", MAX_RANK));
        list.size[list.rank++] = whole_number(header, limit);
    }
    return list;
}

/* ---- Reading ---- */

typedef struct {
    unsigned char *data;
    size_t size;
} Bytes;

static Bytes read_bytes(Arena *arena, const char *path) {
    FILE *stream = fopen(path, "rb");
    long size = stream && fseek(stream, 0, SEEK_END) == 0 ? ftell(stream) : -1;
    if (size < 0 || size == LONG_MAX) { /* the latter of a folder */
        if (stream)
            fclose(stream);
        fail("%s cannot be read", path);
    }
    Bytes file = {allocate(arena, (size_t)size, 1), (size_t)size};
    rewind(stream);
    size_t read = fread(file.data, 1, file.size, stream);
    fclose(stream);
    if (read != file.size)
        fail("%s cannot be read to its end", path);
    return file;
}

static Type type_named(const char *dtype) {
    for (int type = 0; type < TYPES; type++)
        if (strcmp(dtype, TYPE_NAMES[type]) == 0)
            return (Type)type;
    fail("a tensor is of type %s: F32, F64, I64 and U8 are read here", dtype);
}

/* What the header says of a tensor, and its bytes. */
static Tensor read_tensor(Arena *arena, const char *name, Header *header, Bytes bytes) {
    Tensor tensor = {.name = name, .type = TYPES};
    Shape offsets = {0};
    expect(header, '{');
    for (bool first = true; more(header, '}', &first);) {
        const char *field = key(header);
        if (strcmp(field, "dtype") == 0)
            tensor.type = type_named(string(header));
        else if (strcmp(field, "shape") == 0)
            tensor.shape = whole_numbers(header, (size_t)1 << 52);
        else if (strcmp(field, "data_offsets") == 0)
            offsets = whole_numbers(header, bytes.size);
        else
            fail("%s has an unknown field %s", name, field);
    }
    size_t begin = offsets.size[0], end = offsets.size[1];
    if (tensor.type == TYPES || offsets.rank != 2 || begin > end ||
        end - begin != bytes_of(&tensor))
        fail("%s of shape %s does not lie in bytes %zu to %zu", name, shape_text(tensor.shape),
             begin, end);
    tensor.data = bytes.data + begin;
    if ((uintptr_t)tensor.data % TYPE_SIZES[tensor.type] != 0)
        tensor.data = memcpy(allocate(arena, end - begin, 1), tensor.data, end - begin);
    return tensor;
}

static void read_metadata(Arena *arena, File *file, Header *header) {
    expect(header, '{');
    for (bool first = true; more(header, '}', &first);) {
        const char *name = key(header);
        add_metadata(arena, file, name, string(header));
    }
}

File read_file(Arena *arena, const char *path) {
    Bytes bytes = read_bytes(arena, path);
    uint64_t length = 0;
    for (size_t i = 0; i < 8 && i < bytes.size; i++)
        length |= (uint64_t)bytes.data[i] << (8 * i); /* the lowest byte first */
    if (bytes.size < 8 || length > bytes.size - 8)
        fail("%s is no safetensors file: its header exceeds its %zu bytes", path, bytes.size);
    char *start = memcpy(allocate(arena, length + 1, 1), bytes.data + 8, length);
    Bytes data = {bytes.data + 8 + length, bytes.size - 8 - length};
    Header header = {start, path};
    File file = {0};
    expect(&header, '{');
    for (bool first = true; more(&header, '}', &first);) {
        const char *name = key(&header);
        if (strcmp(name, "__metadata__") == 0)
            read_metadata(arena, &file, &header);
        else
            add_tensor(arena, &file, read_tensor(arena, name, &header, data));
    }
    return file;
}

/* ---- Writing ---- */

/* Only ASCII is written, so that the header is UTF-8 whatever an error quotes. */
static void write_string(FILE *stream, const char *string) {
    fputc('"', stream);
    for (; *string; string++) {
        if (*string == '"' || *string == '\\')
            fputc('\\', stream);
        fputc(*string < ' ' || *string > '~' ? '?' : *string, stream);
    }
    fputc('"', stream);
}

static void write_header(FILE *stream, const File *file) {
    fputs("{\"__metadata__\":{", stream);
    for (const Metadata *entry = file->metadata; entry; entry = entry->next) {
        write_string(stream, entry->key);
        fputc(':', stream);
        write_string(stream, entry->value);
        fputs(entry->next ? "," : "", stream);
    }
    fputc('}', stream);
    size_t begin = 0;
    for (const Tensor *tensor = file->tensors; tensor; tensor = tensor->next) {
        fputc(',', stream);
        write_string(stream, tensor->name);
        fprintf(stream, ":{\"dtype\":\"%s\",\"shape\":[", TYPE_NAMES[tensor->type]);
        for (size_t i = 0; i < tensor->shape.rank; i++)
            fprintf(stream, "%s%zu", i ? "," : "", tensor->shape.size[i]);
        fprintf(stream, "],\"data_offsets\":[%zu,%zu]}", begin, begin + bytes_of(tensor));
        begin += bytes_of(tensor);
    }
    fputc('}', stream);
}

bool write_file(const File *file, const char *path) {
    FILE *stream = fopen(path, "wb");
    if (!stream)
        return false;
    fseek(stream, 8, SEEK_SET); /* the length comes when it is known */
    write_header(stream, file);
    long end = ftell(stream);
    for (; end % 8; end++)
        fputc(' ', stream);
    for (const Tensor *tensor = file->tensors; tensor; tensor = tensor->next)
        fwrite(tensor->data, 1, bytes_of(tensor), stream);
    rewind(stream);
    for (int i = 0; i < 8; i++)
        fputc((int)((uint64_t)(end - 8) >> (8 * i) & 255), stream);
    bool written = !ferror(stream);
    return fclose(stream) == 0 && written;
}
