/* Huge pages that a test sets aside and gives back. The machine's number of them is one for all, so
 * tests that change it do so one after the other, under a lock on its folder; and a test that is
 * told to end restores it. What may fail on the way is done in a child: it ends without restoring.
 */
#ifndef TEST_HUGE_PAGES_H
#define TEST_HUGE_PAGES_H

#include "process.h"

#include <sys/file.h>

/* How long others may have them, such as a benchmark; then the test does without. */
#define HUGE_PAGES_TRIES 20

/* What is left to the rest of the machine. */
#define HUGE_PAGES_SPARE ((size_t)1 << 30)

struct huge_pages {
    char folder[64];
    size_t before; /* the machine's number without ours */
    int lock;      /* -1: none are set aside */
};

static struct huge_pages huge_pages_ours = {.lock = -1};

/* A figure such as "free_hugepages"; 0 where there is none. */
static inline size_t huge_pages_figure(const struct huge_pages *pages, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", pages->folder, name);
    return file_number(path, 0);
}

/* No stdio: also called by the handler. */
static inline void huge_pages_set(const struct huge_pages *pages, size_t number)
{
    char path[128], digits[24];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    strcpy(path, pages->folder);
    strcat(path, "/nr_hugepages");
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    if (write(fd, digits + at, sizeof(digits) - at) < 0)
        fputs("huge pages could not be set\n", stderr);
    close(fd);
}

static inline void huge_pages_give_back(void)
{
    if (huge_pages_ours.lock < 0)
        return;
    huge_pages_set(&huge_pages_ours, huge_pages_ours.before);
    close(huge_pages_ours.lock);
    huge_pages_ours.lock = -1;
}

static inline void huge_pages_end(int signal)
{
    huge_pages_give_back();
    _exit(128 + signal);
}

/* Sets `count` free pages of `page_bytes` aside; false if the machine or the user cannot. */
static inline bool huge_pages_take(size_t page_bytes, size_t count)
{
    struct huge_pages *pages = &huge_pages_ours;
    const size_t free_bytes = (size_t)sysconf(_SC_AVPHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    EXPECT(pages->lock < 0);
    if (free_bytes < count * page_bytes + HUGE_PAGES_SPARE)
        return false;
    snprintf(pages->folder, sizeof(pages->folder), "/sys/kernel/mm/hugepages/hugepages-%zukB",
             page_bytes >> 10);
    pages->lock = open(pages->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (pages->lock < 0)
        return false;
    unsigned tries = 0;
    while (flock(pages->lock, LOCK_EX | LOCK_NB) != 0 && ++tries < HUGE_PAGES_TRIES)
        usleep(100000);
    if (tries == HUGE_PAGES_TRIES) {
        close(pages->lock);
        pages->lock = -1;
        return false;
    }
    pages->before = huge_pages_figure(pages, "nr_hugepages");
    EXPECT(atexit(huge_pages_give_back) == 0);
    signal(SIGTERM, huge_pages_end);
    signal(SIGINT, huge_pages_end);
    huge_pages_set(pages, pages->before + count);
    if (huge_pages_figure(pages, "free_hugepages") >= count)
        return true;
    huge_pages_give_back();
    return false;
}

#endif
