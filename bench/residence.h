/* What the kernel says about the memory of this process and of the files that it has open. */
#ifndef TERRANE_BENCH_RESIDENCE_H
#define TERRANE_BENCH_RESIDENCE_H

#include "worker.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* The number behind `key` ("Rss:") in a file of /proc that counts in kB, as bytes. */
static inline uint64_t proc_bytes(const char *path, const char *key)
{
    char text[8192];
    const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        worker_fail("cannot read %s", path);
    const ssize_t count = read(descriptor, text, sizeof(text) - 1);
    close(descriptor);
    text[count > 0 ? count : 0] = '\0';
    const char *line = strstr(text, key);
    if (line == NULL)
        worker_fail("%s does not say %s", path, key);
    return strtoull(line + strlen(key), NULL, 10) << 10;
}

static inline uint64_t resident_bytes(void)
{
    return proc_bytes("/proc/self/smaps_rollup", "Rss:");
}

/* struct cachestat of <linux/mman.h>, which headers before Linux 6.5 do not have. */
struct file_cache {
    uint64_t pages;
    uint64_t dirty;
    uint64_t written;
    uint64_t evicted;
    uint64_t recently_evicted;
};

#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

/* Bytes of the file that are in memory, mapped or not; 0 where the kernel cannot tell. */
static inline uint64_t file_cached_bytes(int descriptor)
{
    const uint64_t whole[2] = {0, 0};
    struct file_cache cache = {.pages = 0};
    if (syscall(SYS_cachestat, descriptor, whole, &cache, 0) != 0)
        return 0;
    return cache.pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Calls `visit` for each descriptor of a file without a name: what backs a shared space, and the
 * plain mapping that it is compared with. Standard error may be such a file, too. */
static inline uint64_t nameless_files_sum(uint64_t (*visit)(int descriptor))
{
    uint64_t sum = 0;
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        worker_fail("cannot read /proc/self/fd");
    for (struct dirent *entry = readdir(folder); entry != NULL; entry = readdir(folder)) {
        struct stat status;
        const int descriptor = (int)strtol(entry->d_name, NULL, 10); /* dots: 0 */
        const bool is_file = fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
        if (descriptor > STDERR_FILENO && is_file && status.st_nlink == 0)
            sum += visit(descriptor);
    }
    closedir(folder);
    return sum;
}

static inline uint64_t file_disk_bytes(int descriptor)
{
    struct stat status;
    return fstat(descriptor, &status) == 0 ? (uint64_t)status.st_blocks * 512 : 0;
}

#endif
