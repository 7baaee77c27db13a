/* JSON writer and reader; see json.h. */
#include "json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static void write_quoted(struct text *out, const char *string)
{
    text_append(out, "\"", 1);
    for (const char *at = string; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\')
            text_print(out, "\\%c", c);
        else if (c < 0x20)
            text_print(out, "\\u%04x", c);
        else
            text_append(out, at, 1);
    }
    text_append(out, "\"", 1);
}

static void begin_value(struct json *json, const char *key)
{
    if (json->needs_comma)
        text_append(json->out, ",", 1);
    json->needs_comma = true;
    if (key == NULL)
        return;
    write_quoted(json->out, key);
    text_append(json->out, ":", 1);
}

void json_begin_object(struct json *json, const char *key)
{
    begin_value(json, key);
    text_append(json->out, "{", 1);
    json->needs_comma = false;
}

void json_end_object(struct json *json)
{
    text_append(json->out, "}", 1);
    json->needs_comma = true;
}

void json_begin_array(struct json *json, const char *key)
{
    begin_value(json, key);
    text_append(json->out, "[", 1);
    json->needs_comma = false;
}

void json_end_array(struct json *json)
{
    text_append(json->out, "]", 1);
    json->needs_comma = true;
}

void json_string(struct json *json, const char *key, const char *value)
{
    begin_value(json, key);
    if (value == NULL)
        text_append(json->out, "null", 4);
    else
        write_quoted(json->out, value);
}

void json_number(struct json *json, const char *key, double value)
{
    begin_value(json, key);
    if (!isfinite(value))
        text_append(json->out, "null", 4);
    else if (fabs(value) < 9e15 && trunc(value) >= value && trunc(value) <= value)
        text_print(json->out, "%.0f", value);
    else
        text_print(json->out, "%.9g", value);
}

void json_integer(struct json *json, const char *key, uint64_t value)
{
    begin_value(json, key);
    text_print(json->out, "%llu", (unsigned long long)value);
}

void json_bool(struct json *json, const char *key, bool value)
{
    begin_value(json, key);
    text_print(json->out, "%s", value ? "true" : "false");
}

static const char *skip_space(const char *at)
{
    while (isspace((unsigned char)*at))
        at++;
    return at;
}

/* Appends a code point below 0x10000 as UTF-8. */
static void append_code_point(struct text *out, unsigned code)
{
    char bytes[3];
    size_t count = 0;
    if (code < 0x80) {
        bytes[count++] = (char)code;
    } else if (code < 0x800) {
        bytes[count++] = (char)(0xc0 | (code >> 6));
        bytes[count++] = (char)(0x80 | (code & 0x3f));
    } else {
        bytes[count++] = (char)(0xe0 | (code >> 12));
        bytes[count++] = (char)(0x80 | ((code >> 6) & 0x3f));
        bytes[count++] = (char)(0x80 | (code & 0x3f));
    }
    text_append(out, bytes, count);
}

/* `at` is behind a backslash. Returns what follows the escape, or NULL. */
static const char *read_escape(const char *at, struct text *out)
{
    static const char from[] = "\"\\/bfnrt";
    static const char to[] = "\"\\/\b\f\n\r\t";
    if (*at == 'u') {
        char digits[5] = "";
        strncpy(digits, at + 1, 4);
        char *end = NULL;
        const unsigned long code = strtoul(digits, &end, 16);
        if (end != digits + 4)
            return NULL;
        append_code_point(out, (unsigned)code);
        return at + 5;
    }
    const char *known = *at == '\0' ? NULL : strchr(from, *at);
    if (known == NULL)
        return NULL;
    text_append(out, &to[known - from], 1);
    return at + 1;
}

/* Reads a string into `out`; returns what follows it, or NULL. */
static const char *read_string(const char *at, struct text *out)
{
    text_clear(out);
    text_append(out, "", 0);
    if (*at++ != '"')
        return NULL;
    while (*at != '"') {
        if (*at == '\0')
            return NULL;
        if (*at == '\\') {
            at = read_escape(at + 1, out);
            if (at == NULL)
                return NULL;
            continue;
        }
        text_append(out, at++, 1);
    }
    return at + 1;
}

/* Reads true, false, null or a number into `*number` (NaN for null); NULL if it is none. */
static const char *read_scalar(const char *at, double *number)
{
    static const struct {
        const char *word;
        double value;
    } words[] = {{"true", 1}, {"false", 0}, {"null", NAN}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strncmp(at, words[i].word, strlen(words[i].word)) == 0) {
            *number = words[i].value;
            return at + strlen(words[i].word);
        }
    }
    if (*at != '-' && !isdigit((unsigned char)*at))
        return NULL;
    char *end = NULL;
    *number = strtod(at, &end);
    return end;
}

/* Reads `"key": value` and visits it; returns what follows, or NULL. */
static const char *read_member(const char *at, json_member_visitor *visit, void *context)
{
    struct text key = {NULL, 0, 0};
    struct text value = {NULL, 0, 0};
    double number = 0;
    at = read_string(skip_space(at), &key);
    if (at != NULL) {
        at = skip_space(at);
        at = *at == ':' ? skip_space(at + 1) : NULL;
    }
    if (at != NULL && *at == '"') {
        at = read_string(at, &value);
        if (at != NULL)
            visit(context, text_string(&key), text_string(&value), 0);
    } else if (at != NULL) {
        at = read_scalar(at, &number);
        if (at != NULL && !isnan(number))
            visit(context, text_string(&key), NULL, number);
    }
    text_free(&key);
    text_free(&value);
    return at;
}

bool json_read_object(const char *source, json_member_visitor *visit, void *context)
{
    const char *at = skip_space(source);
    if (*at++ != '{')
        return false;
    at = skip_space(at);
    if (*at == '}')
        return *skip_space(at + 1) == '\0';
    for (;;) {
        at = read_member(at, visit, context);
        if (at == NULL)
            return false;
        at = skip_space(at);
        if (*at == '}')
            return *skip_space(at + 1) == '\0';
        if (*at++ != ',')
            return false;
    }
}
