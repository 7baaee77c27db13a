/* JSON: a writer that places commas and escapes strings, and a reader of one flat object.
 *
 * The writer appends to a text. `key` is NULL for the elements of an array and for the outermost
 * value. Numbers that JSON cannot express (infinite, not a number) are written as null. */
#ifndef TERRANE_JSON_H
#define TERRANE_JSON_H

#include "text.h"

#include <stdbool.h>
#include <stdint.h>

struct json {
    struct text *out;
    bool needs_comma; /* a value stands before the next one in the same object or array */
};

void json_begin_object(struct json *json, const char *key);
void json_end_object(struct json *json);
void json_begin_array(struct json *json, const char *key);
void json_end_array(struct json *json);
void json_string(struct json *json, const char *key, const char *value); /* NULL: null */
void json_number(struct json *json, const char *key, double value);
void json_integer(struct json *json, const char *key, uint64_t value);
void json_bool(struct json *json, const char *key, bool value);

/* A member of a flat object. For a string `text` is its value (unescaped) and `number` 0; for a
 * number, true or false, `text` is NULL. */
typedef void json_member_visitor(void *context, const char *key, const char *text, double number);

/* Reads an object whose members are strings, numbers, booleans or null (left out); calls `visit`
 * for each. False if `source` is not such an object; members before the fault were visited. */
bool json_read_object(const char *source, json_member_visitor *visit, void *context);

#endif
