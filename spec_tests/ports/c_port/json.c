#include "json.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTH = 32 };

typedef struct {
    Arena *arena;
    const char *what, *start;
    char *at;
} Parser;

static _Noreturn void no_json(const Parser *p, const char *expected) {
    fail("%s is no JSON: expected %s at byte %td", p->what, expected, p->at - p->start);
}

static bool take(Parser *p, char c) {
    p->at += strspn(p->at, " \t\r\n");
    if (*p->at != c) {
        return false;
    }
    p->at++;
    return true;
}

static void expect(Parser *p, char c) {
    if (!take(p, c)) {
        no_json(p, (char[]){c, '\0'});
    }
}

/* The character of \uXXXX; `at` is at the u. Names and values here are ASCII: the rest is a `?`. */
static char escaped_code(Parser *p) {
    char digits[5] = {0}, *end;
    strncpy(digits, p->at + 1, 4);
    unsigned long code = strtoul(digits, &end, 16);
    if (end != digits + 4) {
        no_json(p, "four hexadecimal digits");
    }
    p->at += 4;
    return code < 128 ? (char)code : '?';
}

static char escaped(Parser *p) {
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    const char *known = *p->at ? strchr(names, *p->at) : NULL;
    if (!known && *p->at != 'u') {
        no_json(p, "an escape");
    }
    char c = known ? meanings[known - names] : escaped_code(p);
    p->at++;
    return c;
}

static const char *string(Parser *p) {
    expect(p, '"');
    char *start = p->at, *end = start;
    while (*p->at != '"') {
        if (!*p->at) {
            no_json(p, "the end of a string");
        }
        char c = *p->at++;
        *end++ = c == '\\' ? escaped(p) : c;
    }
    p->at++;
    *end = '\0';
    return start;
}

static Json *value(Parser *p, int depth);

/* What follows an opening bracket; the members of an object have keys. */
static Json *members(Parser *p, bool keys, char close, int depth) {
    Json *first = NULL, **next = &first;
    if (take(p, close)) {
        return NULL;
    }
    do {
        const char *key = keys ? string(p) : NULL;
        if (keys) {
            expect(p, ':');
        }
        *next = value(p, depth + 1);
        (*next)->key = key;
        next = &(*next)->next;
    } while (take(p, ','));
    expect(p, close);
    return first;
}

static bool word(Parser *p, const char *known) {
    bool found = strncmp(p->at, known, strlen(known)) == 0;
    p->at += found ? strlen(known) : 0;
    return found;
}

static Json *value(Parser *p, int depth) {
    if (depth > MAX_DEPTH) {
        no_json(p, "less depth");
    }
    Json *json = allocate(p->arena, 1, sizeof *json);
    p->at += strspn(p->at, " \t\r\n");
    if (*p->at == '"') {
        json->kind = JSON_STRING;
        json->string = string(p);
    } else if (take(p, '{')) {
        json->kind = JSON_OBJECT;
        json->first = members(p, true, '}', depth);
    } else if (take(p, '[')) {
        json->kind = JSON_LIST;
        json->first = members(p, false, ']', depth);
    } else if (*p->at == '-' || (*p->at >= '0' && *p->at <= '9')) {
        json->kind = JSON_NUMBER;
        json->number = strtod(p->at, &p->at);
    } else if (word(p, "true")) {
        json->kind = JSON_BOOL;
        json->number = 1;
    } else if (word(p, "false")) {
        json->kind = JSON_BOOL;
    } else if (!word(p, "null")) {
        no_json(p, "a value");
    }
    return json;
}

const Json *json_parse(Arena *arena, char *source, const char *what) {
    Parser p = {arena, what, source, source};
    const Json *json = value(&p, 0);
    expect(&p, '\0');
    return json;
}

const Json *json_member(const Json *object, const char *key) {
    const Json *member = object->kind == JSON_OBJECT ? object->first : NULL;
    while (member && strcmp(member->key, key) != 0) {
        member = member->next;
    }
    return member;
}
