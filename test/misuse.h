/* Crimes: a program with a table of cases, one of which it commits.
 *
 *   program --list     each case: its name, a tab, the exact line that it must die with
 *   program CASE       commits it: one line on standard error, then SIGABRT
 *
 * <pointer> in a line stands for the address that the case prints on standard output beforehand.
 * A case that needs hardened mode runs the program again with TERRANE_OPTIONS set. */
#ifndef TEST_MISUSE_H
#define TEST_MISUSE_H

#include "expect.h"

#include <sys/resource.h>
#include <unistd.h>

#define TINY   ((size_t)1)
#define SMALL  ((size_t)40)
#define MEDIUM ((size_t)3000)
#define EDGE   ((size_t)32000) /* among the largest that share a block */
#define LARGE  ((size_t)200000)
#define HUGE_  ((size_t)5 << 20)

/* What is printed, up to the numbers that a case adds. */
#define MESSAGE_DOUBLE  "terrane: double free: pointer <pointer> was freed before"
#define MESSAGE_FOREIGN "terrane: invalid free: pointer <pointer> is not an object of any heap"
#define MESSAGE_INSIDE                                                                             \
    "terrane: invalid free: pointer <pointer> lies inside an object, not at its start"
#define MESSAGE_WRONG_SIZE(size, object)                                                           \
    "terrane: free of wrong size: pointer <pointer> was freed with size " size                     \
    ", its object has " object
#define MESSAGE_PAST_END(usable)                                                                   \
    "terrane: write past the end: pointer <pointer> has " usable " usable bytes"
#define MESSAGE_AFTER_FREE                                                                         \
    "terrane: write after free: pointer <pointer> was written to after it was freed"

struct misuse_case {
    const char *name;
    const char *message;
    void (*commit)(size_t size);
    size_t size;
    bool hardened;
};

/* Says which address the message will be about; returns it, unknown to the compiler. */
static inline void *accused(void *pointer)
{
    printf("%p\n", pointer);
    fflush(stdout);
    return hidden(pointer);
}

static inline int misuse_commit(char **argv, const struct misuse_case *one)
{
    if (one->hardened && getenv("TERRANE_OPTIONS") == NULL) {
        setenv("TERRANE_OPTIONS", "hardened=1", 1);
        execv("/proc/self/exe", argv);
        return 1;
    }
    const struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    one->commit(one->size);
    fprintf(stderr, "%s went unpunished\n", one->name);
    return 1;
}

static inline int misuse_main(int argc, char **argv, const struct misuse_case *cases, size_t count)
{
    if (argc != 2) {
        fprintf(stderr, "usage: %s --list | CASE\n", argv[0]);
        return 2;
    }
    const bool list = strcmp(argv[1], "--list") == 0;
    for (size_t i = 0; i < count; i++) {
        if (list)
            printf("%s\t%s\n", cases[i].name, cases[i].message);
        else if (strcmp(argv[1], cases[i].name) == 0)
            return misuse_commit(argv, &cases[i]);
    }
    if (!list)
        fprintf(stderr, "no case '%s'\n", argv[1]);
    return list ? 0 : 2;
}

#define MISUSE_MAIN(cases)                                                                         \
    int main(int argc, char **argv)                                                                \
    {                                                                                              \
        return misuse_main(argc, argv, cases, sizeof(cases) / sizeof((cases)[0]));                 \
    }

#endif
