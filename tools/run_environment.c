/* The environment of the program: ours, the user's --env, and what makes the malloc ours. */
#include "run.h"
#include "text.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAIN_NAME "TERRANE_PROFILE_MAIN="

void run_environment_set(struct run_environment *environment, char *entry)
{
    const size_t name_length = (size_t)(strchrnul(entry, '=') - entry) + 1;
    for (size_t i = 0; i < environment->count; i++) {
        if (strncmp(environment->entries[i], entry, name_length) == 0) {
            free(environment->entries[i]);
            environment->entries[i] = entry;
            return;
        }
    }
    environment->entries = memory_resize(environment->entries, environment->count + 2,
                                         sizeof(environment->entries[0]));
    environment->entries[environment->count++] = entry;
    environment->entries[environment->count] = NULL;
}

static const char *get(const struct run_environment *environment, const char *name)
{
    const size_t length = strlen(name);
    for (size_t i = 0; i < environment->count; i++) {
        const char *entry = environment->entries[i];
        if (strncmp(entry, name, length) == 0 && entry[length] == '=')
            return entry + length + 1;
    }
    return NULL;
}

void run_environment_init(struct run_environment *environment)
{
    *environment = (struct run_environment){.entries = NULL};
    for (char **entry = environ; *entry != NULL; entry++)
        run_environment_set(environment, string_copy(*entry));
}

void run_environment_preload(struct run_environment *environment, const char *library)
{
    const char *others = get(environment, "LD_PRELOAD");
    if (others == NULL || *others == '\0')
        run_environment_set(environment, string_print("LD_PRELOAD=%s", library));
    else /* ours first: the first library that has a malloc provides it */
        run_environment_set(environment, string_print("LD_PRELOAD=%s:%s", library, others));
}

char *run_environment_profile(struct run_environment *environment, const char *path)
{
    run_environment_set(environment, string_print("TERRANE_PROFILE=%s", path));
    char *entry = string_print(MAIN_NAME "%*d", RUN_PID_TEXT_BYTES, 0);
    run_environment_set(environment, entry);
    return entry + strlen(MAIN_NAME);
}

void run_environment_free(struct run_environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        free(environment->entries[i]);
    free(environment->entries);
}
