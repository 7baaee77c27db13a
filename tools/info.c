/* `terrane info`: what the kernel of this machine offers, and what terrane uses where something is
 * missing. The rows come from the os floor, which probes each feature by using it once. */
#define _GNU_SOURCE
#include "command.h"
#include "json.h"
#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <terrane/version.h>

#define ROWS_MAX 64

static const char info_help[] =
    "usage: terrane info [--json]\n\n"
    "Lists the kernel features that terrane uses, since which version the kernel has them,\n"
    "whether this machine has them, and what is used instead of a missing one.\n\n"
    "  --json   print one JSON object\n";

struct machine {
    struct utsname kernel;
    size_t page_bytes;
    size_t memory_bytes;
    size_t mappings_limit;
    size_t mappings_count;
    const char *huge_pages;
    size_t huge_2m_free;
    size_t huge_1g_free;
};

static const char *huge_pages_mode(enum tn_os_thp mode)
{
    switch (mode) {
    case TN_OS_THP_NEVER:
        return "never";
    case TN_OS_THP_MADVISE:
        return "madvise";
    case TN_OS_THP_ALWAYS:
        return "always";
    }
    return "unknown";
}

static void machine_read(struct machine *machine)
{
    const struct tn_os_features *features = tn_os_features();
    *machine = (struct machine){
        .page_bytes = tn_os_page_bytes(),
        .memory_bytes = tn_os_memory_bytes(),
        .mappings_limit = features->mappings_limit,
        .mappings_count = tn_os_mappings_count(),
        .huge_pages = huge_pages_mode(features->thp),
        .huge_2m_free = features->huge_2m_free,
        .huge_1g_free = features->huge_1g_free,
    };
    uname(&machine->kernel);
}

static void print_json(const struct machine *machine, const struct tn_os_feature_row *rows,
                       size_t count)
{
    struct text out = {NULL, 0, 0};
    struct json json = {&out, false};
    json_begin_object(&json, NULL);
    json_string(&json, "kernel", machine->kernel.release);
    json_string(&json, "architecture", machine->kernel.machine);
    json_integer(&json, "page_bytes", machine->page_bytes);
    json_integer(&json, "memory_bytes", machine->memory_bytes);
    json_integer(&json, "mappings_limit", machine->mappings_limit);
    json_integer(&json, "mappings_count", machine->mappings_count);
    json_string(&json, "transparent_huge_pages", machine->huge_pages);
    json_integer(&json, "huge_2m_free", machine->huge_2m_free);
    json_integer(&json, "huge_1g_free", machine->huge_1g_free);
    json_begin_array(&json, "features");
    for (size_t i = 0; i < count; i++) {
        json_begin_object(&json, NULL);
        json_string(&json, "name", rows[i].name);
        json_string(&json, "since", rows[i].since);
        json_bool(&json, "present", rows[i].present);
        json_string(&json, "fallback", rows[i].fallback);
        json_end_object(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    puts(text_string(&out));
    text_free(&out);
}

static void print_table(const struct machine *machine, const struct tn_os_feature_row *rows,
                        size_t count)
{
    printf("kernel         %s %s %s\n", machine->kernel.sysname, machine->kernel.release,
           machine->kernel.machine);
    printf("memory         %zu MiB, pages of %zu bytes\n", machine->memory_bytes >> 20,
           machine->page_bytes);
    printf("mappings       %zu of at most %zu\n", machine->mappings_count, machine->mappings_limit);
    printf("huge pages     transparent: %s; free in the pools: %zu of 2 MiB, %zu of 1 GiB\n\n",
           machine->huge_pages, machine->huge_2m_free, machine->huge_1g_free);
    int width = 0;
    for (size_t i = 0; i < count; i++)
        width = (int)strlen(rows[i].name) > width ? (int)strlen(rows[i].name) : width;
    printf("%-*s  %-7s  %-7s  %s\n", width, "feature", "since", "here",
           "used instead where missing");
    for (size_t i = 0; i < count; i++) {
        printf("%-*s  %-7s  %-7s  %s\n", width, rows[i].name, rows[i].since,
               rows[i].present ? "yes" : "MISSING", rows[i].fallback);
    }
}

int command_info(int argc, char **argv)
{
    bool as_json = false;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0) {
            fputs(info_help, stdout);
            return EXIT_SUCCESS;
        }
        if (strcmp(argv[i], "--json") != 0)
            return usage_error("info", "unknown option '%s'", argv[i]);
        as_json = true;
    }
    struct tn_os_feature_row rows[ROWS_MAX];
    const size_t found = tn_os_feature_rows(rows, ROWS_MAX);
    const size_t count = found < ROWS_MAX ? found : ROWS_MAX;
    struct machine machine;
    machine_read(&machine);
    if (as_json)
        print_json(&machine, rows, count);
    else
        print_table(&machine, rows, count);
    return EXIT_SUCCESS;
}
