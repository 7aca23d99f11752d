/* A reader of JSON, for the headers of files, the config and the grid. */
#ifndef JSON_H
#define JSON_H

#include "common.h"

typedef enum { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_LIST, JSON_OBJECT } JsonKind;

typedef struct Json Json;
struct Json {
    JsonKind kind;
    const char *key;    /* of a member of an object */
    const char *string; /* of a string */
    double number;      /* of a number; 1 or 0 of true or false */
    Json *first, *next; /* the members of a list or an object; the next among members */
};

/* The value that `source` holds. Strings stay in it, unescaped in place. `what` names it in
   errors. */
const Json *json_parse(Arena *arena, char *source, const char *what);

/* A member of an object, or NULL. */
const Json *json_member(const Json *object, const char *key);

#endif
