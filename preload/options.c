/* TERRANE_OPTIONS: "name=value" pairs separated by commas or blanks; see thread_heap.h.
 *
 * Read at the first allocation, before main, so no function that allocates may be used. */
#include "base/base.h"
#include "thread_heap.h"

#include <stdlib.h>
#include <string.h>

struct tn_preload_options tn_preload_options;

/* An option takes a number up to `most`, or whatever text its `take` accepts. */
struct option {
    const char *name;
    unsigned long most;
    void (*set)(unsigned long value);
    bool (*take)(const char *text); /* NULL: a number */
    const char *wanted;             /* what `take` accepts, for the warning */
};

static void set_hardened(unsigned long value)
{
    tn_preload_options.hardened = value != 0;
}

static void set_realloc_zero_frees(unsigned long value)
{
    tn_preload_options.realloc_zero_frees = value != 0;
}

static void set_guard_sample(unsigned long value)
{
    tn_preload_options.guard_rate = (uint32_t)value;
}

static void set_fresh_ratio(unsigned long value)
{
    tn_preload_options.fresh_ratio = (unsigned)value;
}

static bool take_publish(const char *text)
{
    const bool is_switch = strcmp(text, "0") == 0 || strcmp(text, "1") == 0;
    if (!is_switch && text[0] != '/')
        return false;
    tn_preload_options.publish = strcmp(text, "0") != 0;
    tn_format(tn_preload_options.publish_dir, sizeof(tn_preload_options.publish_dir), "%s",
              is_switch ? "" : text);
    return true;
}

static const struct option options[] = {
    {.name = "hardened", .most = 1, .set = set_hardened},
    {.name = "realloc_zero_frees", .most = 1, .set = set_realloc_zero_frees},
    {.name = "guard_sample", .most = UINT32_MAX, .set = set_guard_sample},
    {.name = "fresh_ratio", .most = 100, .set = set_fresh_ratio},
    {.name = "publish", .take = take_publish, .wanted = "0, 1 or an absolute path"},
};

#define SEPARATORS ", \t"
#define WORD_MAX   256

/* strtoul by itself takes blanks and signs. */
static bool take_number(const struct option *option, const char *text)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value > option->most)
        return false;
    option->set(value);
    return true;
}

/* `word` is the option's name, '=' and `value`. */
static void take(const struct option *option, const char *word, const char *value)
{
    if (option->take == NULL) {
        if (!take_number(option, value))
            tn_warn("TERRANE_OPTIONS: '%s' takes a number from 0 to %z", word,
                    (size_t)option->most);
    } else if (!option->take(value)) {
        tn_warn("TERRANE_OPTIONS: '%s' takes %s", word, option->wanted);
    }
}

static void apply(const char *word, size_t length)
{
    char text[WORD_MAX];
    if (length >= sizeof(text)) {
        tn_warn("TERRANE_OPTIONS: a word of %z characters is no option", length);
        return;
    }
    memcpy(text, word, length);
    text[length] = '\0';
    for (size_t i = 0; i < TN_ARRAY_COUNT(options); i++) {
        const size_t name = strlen(options[i].name);
        if (strncmp(text, options[i].name, name) == 0 && text[name] == '=') {
            take(&options[i], text, text + name + 1);
            return;
        }
    }
    tn_warn("TERRANE_OPTIONS: unknown option '%s'; known are hardened, realloc_zero_frees, "
            "guard_sample, fresh_ratio, publish",
            text);
}

void tn_preload_options_read(void)
{
    const char *at = secure_getenv("TERRANE_OPTIONS");
    while (at != NULL && *at != '\0') {
        const size_t length = strcspn(at, SEPARATORS);
        if (length > 0)
            apply(at, length);
        at += length;
        at += strspn(at, SEPARATORS);
    }
}
