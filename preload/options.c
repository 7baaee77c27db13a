/* TERRANE_OPTIONS: "name=value" pairs separated by commas or blanks; see thread_heap.h.
 *
 * Read at the first allocation, before main, so no function that allocates may be used. */
#include "base/base.h"
#include "thread_heap.h"

#include <stdlib.h>
#include <string.h>

struct tn_preload_options tn_preload_options;

struct option {
    const char *name;
    unsigned long most;
    void (*set)(unsigned long value);
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

static const struct option options[] = {
    {"hardened", 1, set_hardened},
    {"realloc_zero_frees", 1, set_realloc_zero_frees},
    {"guard_sample", UINT32_MAX, set_guard_sample},
    {"fresh_ratio", 100, set_fresh_ratio},
};

#define SEPARATORS ", \t"
#define WORD_MAX   64

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
        if (strncmp(text, options[i].name, name) != 0 || text[name] != '=')
            continue;
        char *end;
        const char *number = text + name + 1;
        const unsigned long value = strtoul(number, &end, 10); /* which takes blanks and signs */
        if (*number < '0' || *number > '9' || *end != '\0' || value > options[i].most)
            tn_warn("TERRANE_OPTIONS: '%s' takes a number from 0 to %z", text,
                    (size_t)options[i].most);
        else
            options[i].set(value);
        return;
    }
    tn_warn("TERRANE_OPTIONS: unknown option '%s'; known are hardened, realloc_zero_frees, "
            "guard_sample, fresh_ratio",
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
