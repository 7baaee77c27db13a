/* What a figure was measured on: without it a figure means nothing to another reader. */
#define _GNU_SOURCE
#include "bench.h"
#include "json.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The value of the first line "KEY ... : VALUE" of a /proc file; "unknown" if there is none. */
static char *value_of(const char *path, const char *key)
{
    struct text file = {NULL, 0, 0};
    text_read_file(&file, path);
    const char *line = strstr(text_string(&file), key);
    const char *colon = line == NULL ? NULL : strchr(line, ':');
    char *value = NULL;
    if (colon != NULL) {
        const char *start = colon + 1 + strspn(colon + 1, " \t");
        value = string_print("%.*s", (int)strcspn(start, "\n"), start);
    }
    text_free(&file);
    return value == NULL ? string_copy("unknown") : value;
}

/* The word in [brackets] of the kernel's setting. */
static char *huge_pages_mode(void)
{
    struct text file = {NULL, 0, 0};
    text_read_file(&file, "/sys/kernel/mm/transparent_hugepage/enabled");
    const char *open = strchr(text_string(&file), '[');
    char *mode = open == NULL ? string_copy("not available")
                              : string_print("%.*s", (int)strcspn(open + 1, "]"), open + 1);
    text_free(&file);
    return mode;
}

void bench_machine_read(struct bench_machine *machine)
{
    struct utsname kernel;
    uname(&kernel);
    const size_t page_bytes = (size_t)sysconf(_SC_PAGESIZE);
    *machine = (struct bench_machine){
        .cpu = value_of("/proc/cpuinfo", "model name"),
        .cores = (unsigned)sysconf(_SC_NPROCESSORS_ONLN),
        .memory_bytes = (size_t)sysconf(_SC_PHYS_PAGES) * page_bytes,
        .page_bytes = page_bytes,
        .kernel = string_print("%s %s %s", kernel.sysname, kernel.release, kernel.machine),
        .huge_pages = huge_pages_mode(),
        .libc = string_print("glibc %s", gnu_get_libc_version()),
    };
    const time_t now = time(NULL);
    struct tm parts;
    strftime(machine->date, sizeof(machine->date), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &parts));
}

void bench_machine_free(struct bench_machine *machine)
{
    free(machine->cpu);
    free(machine->kernel);
    free(machine->huge_pages);
    free(machine->libc);
}

void bench_machine_json(const struct bench_machine *machine, struct json *json)
{
    json_begin_object(json, "machine");
    json_string(json, "cpu", machine->cpu);
    json_integer(json, "cores", machine->cores);
    json_integer(json, "memory_bytes", machine->memory_bytes);
    json_integer(json, "page_bytes", machine->page_bytes);
    json_string(json, "kernel", machine->kernel);
    json_string(json, "transparent_huge_pages", machine->huge_pages);
    json_string(json, "libc", machine->libc);
    json_string(json, "date", machine->date);
    json_end_object(json);
}

void bench_machine_print(const struct bench_machine *machine, struct text *out)
{
    text_print(out, "%s, %u cores, %zu MiB, pages of %zu bytes, huge pages: %s\n", machine->cpu,
               machine->cores, machine->memory_bytes >> 20, machine->page_bytes,
               machine->huge_pages);
    text_print(out, "%s, %s, %s\n", machine->kernel, machine->libc, machine->date);
}
