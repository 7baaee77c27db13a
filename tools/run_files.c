/* The files around a run: the library, the report's and the profile's places, the directory of the
 * report pages. All that can be wrong with them is found before the program starts: better no run
 * than a run whose report is lost. */
#include "bench.h"
#include "run.h"
#include "text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define ROOM_MIN_BYTES  ((uint64_t)64 << 20)
#define DIRECTORY_MAX   380 /* what the drop-in takes, less the name */
#define REMOVE_ATTEMPTS 8

int run_output_open(const char *path, int *fd)
{
    *fd = STDERR_FILENO;
    if (path == NULL)
        return 0;
    const int opened = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    /* Whoever starts us with a closed stream must not find the report in its place. */
    *fd = opened < 0 ? -1 : fcntl(opened, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int error = errno;
    if (opened >= 0)
        close(opened);
    if (*fd >= 0)
        return 0;
    return run_error(RUN_FAILED,
                     "cannot write the report to %s: %s; name another file with --output", path,
                     strerror(error));
}

/* `path` with its folder made absolute, for the program may change its directory; NULL and errno if
 * there is no such folder. */
static char *absolute_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder =
        slash == NULL ? string_copy(".") : string_print("%.*s/", (int)(slash - path), path);
    char *absolute = realpath(folder, NULL);
    free(folder);
    if (absolute == NULL)
        return NULL;
    char *whole = string_print("%s/%s", absolute, slash == NULL ? path : slash + 1);
    free(absolute);
    return whole;
}

/* Tries whether the file can be written, and leaves none of its own behind: afterwards its presence
 * tells that the program wrote it. 0 or an errno. */
static int try_writing(const char *path)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return errno;
    struct stat info;
    const bool ordinary = fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    close(fd);
    if (ordinary)
        (void)unlink(path);
    return 0;
}

int run_profile_check(const char *path, char **absolute)
{
    *absolute = NULL;
    if (path == NULL)
        return 0;
    *absolute = absolute_path(path);
    const int error = *absolute == NULL ? errno : try_writing(*absolute);
    if (error == 0)
        return 0;
    return run_error(RUN_FAILED,
                     "cannot write a profile to %s: %s; name another file with --profile", path,
                     strerror(error));
}

int run_library_find(char **path)
{
    *path = bench_terrane_library();
    if (*path == NULL)
        return run_error(RUN_FAILED,
                         "no libterrane-malloc.so in %s or in the lib folder beside it; run `make` "
                         "or `make install`",
                         bench_program_dir());
    /* The loader takes both for separators in LD_PRELOAD. */
    if (strpbrk(*path, " :") == NULL)
        return 0;
    return run_error(RUN_FAILED,
                     "%s has a space or a colon in its path, which LD_PRELOAD cannot express; "
                     "install it elsewhere",
                     *path);
}

/* Memory first: pages in a disk's file system would be written to the disk. */
char *run_directory_make(void)
{
    const char *temporary = getenv("TMPDIR");
    const char *const places[] = {"/dev/shm", temporary == NULL ? "/var/tmp" : temporary, "/tmp"};
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        struct statvfs room;
        if (places[i][0] != '/' || strlen(places[i]) > DIRECTORY_MAX ||
            statvfs(places[i], &room) != 0 ||
            (uint64_t)room.f_bavail * room.f_frsize < ROOM_MIN_BYTES)
            continue;
        char *path = string_print("%s/terrane-run.XXXXXX", places[i]);
        if (mkdtemp(path) != NULL)
            return path;
        free(path);
    }
    run_error(RUN_FAILED,
              "no directory for the counters: neither /dev/shm nor TMPDIR nor /tmp can be written "
              "and has 64 MiB free; make room or use --no-report");
    return NULL;
}

static void remove_files(const char *path)
{
    DIR *list = opendir(path);
    if (list == NULL)
        return;
    for (const struct dirent *entry; (entry = readdir(list)) != NULL;) {
        if (entry->d_name[0] != '.')
            (void)unlinkat(dirfd(list), entry->d_name, 0);
    }
    closedir(list);
}

/* A process that outlives the program may add a page in between, hence the attempts. */
void run_directory_remove(const char *path)
{
    for (unsigned i = 0; i < REMOVE_ATTEMPTS && rmdir(path) != 0 && errno == ENOTEMPTY; i++)
        remove_files(path);
}
