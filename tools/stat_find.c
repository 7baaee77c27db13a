/* Where the stat page of a process is.
 *
 * A program that publishes into a memfd has a descriptor whose link in /proc says so; one that
 * publishes into a directory has the file mapped, and the path stands in its maps. That path is the
 * process's own: it is tried below the root that the process sees first. Descriptors and mappings
 * go on to the child of fork, so a page counts only if the number inside is that of the process, as
 * the process sees itself. */
#include "command.h"
#include "run.h"
#include "stat.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MEMFD_LINK  "/memfd:" TN_STAT_NAME " (deleted)"
#define FILE_PREFIX "/" TN_STAT_NAME "."
#define DELETED     " (deleted)"
#define COMMAND_MAX 120
#define PUBLISH_HELP                                                                               \
    "start it under `terrane run`, or with libterrane-malloc.so in LD_PRELOAD and "                \
    "TERRANE_OPTIONS=publish=1, or let it call terrane_stats_publish"

/* What a search came across. */
struct search {
    struct stat_target *target;
    int whose;    /* of a page that is another process's; 0: none was seen */
    bool removed; /* a page whose file is gone */
    int error;    /* why one could not be opened; 0: none */
};

/* ---- the process ---- */

static bool process_exists(int pid)
{
    return kill(pid, 0) == 0 || errno == EPERM;
}

/* -1 where there is none, and on kernels before Linux 5.3. */
static int process_open(int pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool stat_has_ended(const struct stat_target *target)
{
    if (target->process < 0)
        return target->pid != 0 && !process_exists(target->pid);
    struct pollfd end = {.fd = target->process, .events = POLLIN};
    return poll(&end, 1, 0) > 0;
}

/* The last of the numbers behind "NSpid:" is the one in the innermost namespace. */
static int own_pid_read(int pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    struct text status = {.bytes = NULL};
    int own = pid;
    const char *line = text_read_file(&status, path) == 0 ? strstr(status.bytes, "NSpid:") : NULL;
    if (line != NULL) {
        const char *end = strchrnul(line, '\n');
        while (end > line && isdigit((unsigned char)end[-1]))
            end--;
        own = (int)strtol(end, NULL, 10);
    }
    text_free(&status);
    return own;
}

static char *command_read(int pid)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
    struct text words = {.bytes = NULL};
    (void)text_read_file(&words, path);
    for (size_t i = 0; i + 1 < words.length; i++) {
        if (words.bytes[i] == '\0')
            words.bytes[i] = ' ';
    }
    char *command = string_print("%.*s", COMMAND_MAX, text_string(&words));
    run_clean_text(command);
    text_free(&words);
    return command;
}

/* ---- its page ---- */

/* Anybody may have put anything there: a pipe must not make us wait. */
static int page_open(const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat about;
    if (fd >= 0 && (fstat(fd, &about) != 0 || !S_ISREG(about.st_mode))) {
        close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

/* Whether this is the page that is looked for. */
static bool take(struct search *search, const char *path)
{
    const int fd = page_open(path);
    if (fd < 0) {
        search->error = errno;
        return false;
    }
    int whose;
    if (!stat_page_is_of(fd, search->target->own_pid, &whose)) {
        search->whose = whose;
        close(fd);
        return false;
    }
    search->target->page = fd;
    search->target->place = string_copy(path);
    return true;
}

/* -errno if the descriptors may not be looked at. */
static int search_descriptors(struct search *search)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/fd", search->target->pid);
    DIR *list = opendir(path);
    if (list == NULL)
        return -errno;
    for (const struct dirent *entry; search->target->page < 0 && (entry = readdir(list)) != NULL;) {
        char link[sizeof(MEMFD_LINK) + 1];
        const ssize_t length = readlinkat(dirfd(list), entry->d_name, link, sizeof(link));
        if (length != (ssize_t)sizeof(MEMFD_LINK) - 1 ||
            memcmp(link, MEMFD_LINK, (size_t)length) != 0)
            continue;
        char *found = string_print("%s/%s", path, entry->d_name);
        (void)take(search, found);
        free(found);
    }
    closedir(list);
    return 0;
}

/* The number behind the name of a page file; 0: it is none. */
static int number_of_page(const char *path)
{
    const char *name = strrchr(path, '/');
    if (name == NULL || strncmp(name, FILE_PREFIX, sizeof(FILE_PREFIX) - 1) != 0)
        return 0;
    char *end;
    const long number = strtol(name + sizeof(FILE_PREFIX) - 1, &end, 10);
    return *end == '\0' && number > 0 && number <= INT_MAX ? (int)number : 0;
}

static void search_mapping(struct search *search, char *path)
{
    path[strcspn(path, "\n")] = '\0';
    const size_t length = strlen(path);
    const size_t mark = sizeof(DELETED) - 1;
    const bool removed = length > mark && strcmp(path + length - mark, DELETED) == 0;
    if (removed)
        path[length - mark] = '\0';
    const int number = number_of_page(path);
    if (number == 0)
        return;
    if (number != search->target->own_pid) {
        search->whose = number;
        return;
    }
    search->removed = removed;
    char *inside = string_print("/proc/%d/root%s", search->target->pid, path);
    if (!removed && !take(search, inside))
        (void)take(search, path);
    free(inside);
}

static int search_mappings(struct search *search)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/maps", search->target->pid);
    FILE *maps = fopen(path, "re");
    if (maps == NULL)
        return -errno;
    char *line = NULL;
    size_t room = 0;
    while (search->target->page < 0 && getline(&line, &room, maps) >= 0) {
        char *name = strchr(line, '/');
        if (name != NULL)
            search_mapping(search, name);
    }
    free(line);
    fclose(maps);
    return 0;
}

/* ---- what is said when there is none ---- */

static int no_page(const struct search *search, int error)
{
    const struct stat_target *target = search->target;
    if (stat_has_ended(target))
        return stat_error("process %d has ended", target->pid);
    if (error != 0)
        return stat_error("cannot look into process %d (%s): %s; be its user, or root", target->pid,
                          target->command, strerror(-error));
    if (search->removed)
        return stat_error("the stat page of process %d (%s) was removed: `terrane run` has ended "
                          "before it; %s",
                          target->pid, target->command, PUBLISH_HELP);
    if (search->error != 0)
        return stat_error("cannot open the stat page of process %d (%s): %s; be its user, or root",
                          target->pid, target->command, strerror(search->error));
    if (search->whose != 0)
        return stat_error("process %d (%s) publishes nothing: it was forked by process %d, which "
                          "does; let it call terrane_stats_publish after fork, or start the "
                          "program under `terrane run`",
                          target->pid, target->command, search->whose);
    return stat_error("process %d (%s) publishes nothing: %s", target->pid, target->command,
                      PUBLISH_HELP);
}

static int find_process(struct stat_target *target)
{
    target->process = process_open(target->pid);
    if (target->process < 0 && !process_exists(target->pid))
        return stat_error("there is no process %d", target->pid);
    target->own_pid = own_pid_read(target->pid);
    target->command = command_read(target->pid);
    struct search search = {.target = target};
    int error = search_descriptors(&search);
    if (error == 0 && target->page < 0)
        error = search_mappings(&search);
    return target->page >= 0 ? 0 : no_page(&search, error);
}

static int find_file(const char *path, struct stat_target *target)
{
    target->place = string_copy(path);
    target->command = string_copy(path);
    target->page = page_open(path);
    if (target->page >= 0) {
        (void)stat_page_is_of(target->page, 0, &target->pid);
        target->process = target->pid > 0 ? process_open(target->pid) : -1;
        return 0;
    }
    return stat_error("cannot open the stat page %s: %s", path,
                      errno == EINVAL ? "it is not an ordinary file" : strerror(errno));
}

int stat_find(const char *word, struct stat_target *target)
{
    *target = (struct stat_target){.process = -1, .page = -1};
    if (strchr(word, '/') != NULL)
        return find_file(word, target);
    char *end;
    errno = 0;
    const long number = strtol(word, &end, 10);
    if (!isdigit((unsigned char)*word) || *end != '\0' || errno != 0 || number < 1 ||
        number > INT_MAX)
        return usage_error("stat", "'%s' is neither the number of a process nor a path with a /",
                           word);
    target->pid = (int)number;
    return find_process(target);
}

void stat_close(struct stat_target *target)
{
    if (target->process >= 0)
        close(target->process);
    if (target->page >= 0)
        close(target->page);
    free(target->place);
    free(target->command);
}
