/* Where things are: the workers and libraries that belong to this command, the peers' libraries,
 * programs, and a folder for files that vanish with the process.
 *
 * The command is used from the build tree (build/terrane beside build/bench/) and from where it was
 * installed (PREFIX/bin, PREFIX/lib, PREFIX/libexec/terrane/bench), so everything is looked for
 * relative to the running program. */
#define _GNU_SOURCE
#include "bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *bench_program_dir(void)
{
    static char dir[PATH_MAX];
    if (dir[0] == '\0') {
        const ssize_t length = readlink("/proc/self/exe", dir, sizeof(dir) - 1);
        dir[length > 0 ? length : 0] = '\0';
        char *slash = strrchr(dir, '/');
        if (slash != NULL)
            *slash = '\0';
    }
    return dir[0] == '\0' ? "." : dir;
}

/* `path` (taken over) if it names a readable file, else NULL. */
static char *if_readable(char *path)
{
    struct stat status;
    if (stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, R_OK) == 0)
        return path;
    free(path);
    return NULL;
}

char *bench_worker_path(const char *worker)
{
    static const char *const places[] = {"bench", "../libexec/terrane/bench"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *path = if_readable(string_print("%s/%s/%s", bench_program_dir(), places[i], worker));
        if (path != NULL)
            return path;
    }
    return NULL;
}

char *bench_scripts_dir(void)
{
    static const char *const places[] = {"../bench/programs", "../../bench/programs",
                                         "../libexec/terrane/bench/programs"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *dir = string_print("%s/%s", bench_program_dir(), places[i]);
        char *resolved = realpath(dir, NULL);
        free(dir);
        if (resolved != NULL)
            return resolved;
    }
    return NULL;
}

/* Debian and its kin put libraries in a folder named for the machine. */
#if defined(__x86_64__)
#define MULTIARCH "x86_64-linux-gnu"
#elif defined(__aarch64__)
#define MULTIARCH "aarch64-linux-gnu"
#else
#define MULTIARCH "."
#endif

char *bench_terrane_library(void)
{
    static const char *const places[] = {".", "../lib", ("../lib/" MULTIARCH), "../lib64"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *path =
            if_readable(string_print("%s/%s/libterrane-malloc.so", bench_program_dir(), places[i]));
        if (path != NULL) {
            char *resolved = realpath(path, NULL);
            free(path);
            return resolved;
        }
    }
    return NULL;
}

char *bench_system_library(const char *file)
{
    static const char *const places[] = {
        "/usr/lib/" MULTIARCH,
        "/lib/" MULTIARCH,
        "/usr/local/lib/" MULTIARCH,
        "/usr/local/lib",
        "/usr/local/lib64",
        "/usr/lib64",
        "/lib64",
        "/usr/lib",
        "/lib",
    };
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *path = if_readable(string_print("%s/%s", places[i], file));
        if (path != NULL)
            return path;
    }
    return NULL;
}

static bool is_elf(const char *path)
{
    char magic[4] = "";
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return false;
    const bool matches =
        read(descriptor, magic, sizeof(magic)) == 4 && memcmp(magic, "\177ELF", 4) == 0;
    close(descriptor);
    return matches && access(path, X_OK) == 0;
}

char *bench_program_path(const char *name)
{
    const char *search = getenv("PATH");
    char *copy = string_copy(search == NULL ? "/usr/bin:/bin" : search);
    char *rest = copy;
    char *found = NULL;
    for (char *dir = strsep(&rest, ":"); dir != NULL && found == NULL; dir = strsep(&rest, ":")) {
        char *path = string_print("%s/%s", dir[0] == '\0' ? "." : dir, name);
        if (is_elf(path))
            found = realpath(path, NULL);
        free(path);
    }
    free(copy);
    return found;
}

char *bench_source_dir(void)
{
    static const char *const places[] = {"..", "../.."};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char *dir = string_print("%s/%s", bench_program_dir(), places[i]);
        char *sources = string_print("%s/src/heap/heap.c", dir);
        char *resolved = access(sources, R_OK) == 0 ? realpath(dir, NULL) : NULL;
        free(sources);
        free(dir);
        if (resolved != NULL)
            return resolved;
    }
    return NULL;
}

static char scratch[PATH_MAX];
static pid_t scratch_owner;

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status;
    (void)type;
    (void)at;
    return remove(path);
}

static void scratch_remove(void)
{
    if (scratch[0] != '\0' && getpid() == scratch_owner)
        nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *bench_scratch_dir(void)
{
    if (scratch[0] != '\0')
        return scratch;
    const char *parent = getenv("TMPDIR");
    const int length = snprintf(scratch, sizeof(scratch), "%s/terrane-bench-XXXXXX",
                                parent == NULL || parent[0] == '\0' ? "/tmp" : parent);
    if (length < 0 || (size_t)length >= sizeof(scratch) || mkdtemp(scratch) == NULL) {
        fprintf(stderr, "terrane bench: cannot make a folder for temporary files as %s: %s\n",
                scratch, strerror(errno));
        scratch[0] = '\0';
        return NULL;
    }
    scratch_owner = getpid();
    atexit(scratch_remove);
    return scratch;
}
