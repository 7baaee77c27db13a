/* What a test looks at from outside: children and how they ended, mappings, descriptors, resident
 * memory. Nothing here allocates. */
#ifndef TEST_PROCESS_H
#define TEST_PROCESS_H

#include "expect.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* Sanitizers cannot follow a process with busy threads into a child that starts some: asan's malloc
 * may be locked there, and tsan mixes up who is who. By default tsan ends such a child at once. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define CHILD_STARTS_THREADS false
#else
#define CHILD_STARTS_THREADS true
#endif
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "die_after_fork=0";
}
#endif

/* Seconds that a child may take; a deadlock ends as SIGALRM. */
#define CHILD_SECONDS 60

/* Waits for a child; its wait status. */
static inline int child_wait(pid_t pid)
{
    int status = -1;
    pid_t got;
    do {
        got = waitpid(pid, &status, 0);
    } while (got < 0 && errno == EINTR);
    EXPECT(got == pid);
    return status;
}

#define EXPECT_CHILD_PASSED(pid)                                                                   \
    do {                                                                                           \
        const int status_ = child_wait(pid);                                                       \
        EXPECT_THAT(WIFEXITED(status_) && WEXITSTATUS(status_) == 0, "wait status 0x%x",           \
                    (unsigned)status_);                                                            \
    } while (0)

/* Runs `function` in a child process, which ends by _Exit(0) when it returns. */
static inline int child_run(void (*function)(void *context), void *context)
{
    const pid_t pid = fork();
    EXPECT(pid >= 0);
    if (pid == 0) {
        alarm(CHILD_SECONDS);
        function(context);
        _Exit(0);
    }
    return child_wait(pid);
}

/* Runs this very program again with one variable more in its environment. */
static inline _Noreturn void run_again_with(char **argv, const char *name, const char *value)
{
    setenv(name, value, 1);
    execv("/proc/self/exe", argv);
    expect_failed(__FILE__, __LINE__, "execv to run this program again");
}

/* Counts the lines of a file in /proc that is longer than any buffer. */
static inline size_t lines_count(const char *path)
{
    char buffer[4096];
    size_t lines = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    for (ssize_t got; (got = read(fd, buffer, sizeof(buffer))) > 0;) {
        for (ssize_t i = 0; i < got; i++)
            lines += buffer[i] == '\n';
    }
    close(fd);
    return lines;
}

static inline size_t mappings_count(void)
{
    return lines_count("/proc/self/maps");
}

/* Open descriptors of this process. */
static inline size_t descriptors_count(void)
{
    char buffer[4096];
    size_t entries = 0;
    const int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    EXPECT(fd >= 0);
    for (long got; (got = syscall(SYS_getdents64, fd, buffer, sizeof(buffer))) > 0;) {
        for (long at = 0; at < got; entries++) {
            unsigned short length;
            memcpy(&length, buffer + at + 16, sizeof(length)); /* d_reclen of linux_dirent64 */
            at += length;
        }
    }
    close(fd);
    return entries - 3; /* ".", ".." and the descriptor just closed */
}

/* A figure of /proc/self/status in bytes, such as "VmRSS:"; 0 if it is not there. */
static inline size_t status_bytes(const char *name)
{
    char status[8192];
    const int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    EXPECT(fd >= 0);
    const ssize_t got = read(fd, status, sizeof(status) - 1);
    close(fd);
    EXPECT(got > 0);
    status[got] = '\0';
    const char *line = strstr(status, name);
    return line == NULL ? 0 : (size_t)strtoull(line + strlen(name), NULL, 10) << 10;
}

static inline size_t resident_bytes(void)
{
    return status_bytes("VmRSS:");
}

/* A number from a file such as /proc/sys/vm/max_map_count; `fallback` if it cannot be read. */
static inline size_t file_number(const char *path, size_t fallback)
{
    char text[64];
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fallback;
    const ssize_t got = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (got <= 0)
        return fallback;
    text[got] = '\0';
    return (size_t)strtoull(text, NULL, 10);
}

#endif
