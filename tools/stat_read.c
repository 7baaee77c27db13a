/* Reads a stat page that its process goes on writing; see stat_page.h.
 *
 * The page is copied, never mapped: somebody might cut the file short under us. A copy that was
 * taken in the middle of a write is thrown away and taken again a moment later. */
#include "stat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ATTEMPTS         100u
#define ATTEMPT_PAUSE_NS 2000000 /* a write takes a fraction of that */

/* Bytes that were got, or -errno. */
static ssize_t copy(int fd, void *to, size_t size)
{
    size_t got = 0;
    while (got < size) {
        const ssize_t n = pread(fd, (char *)to + got, size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    return (ssize_t)got;
}

bool stat_page_is_of(int page, int own_pid, int *whose)
{
    struct tn_stat_head head;
    const ssize_t got = copy(page, &head, sizeof(head));
    *whose = got == (ssize_t)sizeof(head) && head.magic == TN_STAT_MAGIC ? (int)head.pid : own_pid;
    return *whose == own_pid;
}

static int bad_page(const struct stat_target *target, const char *what)
{
    return stat_error("%s %s; use the `terrane` of the build that the program runs with, and let "
                      "the program publish anew",
                      target->place, what);
}

static void pause_briefly(void)
{
    const struct timespec pause = {.tv_nsec = ATTEMPT_PAUSE_NS};
    (void)nanosleep(&pause, NULL);
}

/* Bytes of the page up to the last slot that is used: the less is copied, the less often somebody
 * writes meanwhile. */
static size_t used_bytes(const struct tn_stat_page *page)
{
    size_t slots = 0;
    for (size_t i = 0; i < TN_STAT_USED_WORDS; i++) {
        const uint64_t bits = atomic_load_explicit(&page->head.used[i], memory_order_relaxed);
        if (bits != 0)
            slots = i * 64 + tn_highest_bit(bits) + 1;
    }
    return TN_STAT_SLOT_BYTES * (1 + tn_min(slots, TN_SPACES_MAX));
}

/* One look: as a rule there is one space, and one call copies all of it. */
static enum tn_stat_verdict look(int fd, struct tn_stat_page *page, struct tn_stat_snapshot *out)
{
    const size_t first = (size_t)2 * TN_STAT_SLOT_BYTES;
    size_t wanted = first;
    ssize_t got = copy(fd, page, first);
    if (got == (ssize_t)first && (wanted = used_bytes(page)) > first)
        got = copy(fd, page, wanted);
    return got < (ssize_t)wanted ? TN_STAT_FOREIGN : tn_stat_take(page, out);
}

static enum tn_stat_verdict look_often(int fd, unsigned attempts, struct tn_stat_snapshot *out)
{
    struct tn_stat_page *page = memory_get(sizeof(*page));
    enum tn_stat_verdict verdict = look(fd, page, out);
    for (unsigned i = 1; i < attempts; i++) {
        if (verdict == TN_STAT_GOOD || verdict == TN_STAT_OTHER_VERSION)
            break;
        pause_briefly();
        verdict = look(fd, page, out);
    }
    free(page);
    return verdict;
}

int stat_read(const struct stat_target *target, bool ended, struct tn_stat_snapshot *out,
              bool *torn)
{
    struct stat about;
    if (fstat(target->page, &about) != 0)
        return stat_error("cannot read %s: %s", target->place, strerror(errno));
    if (about.st_size < (off_t)sizeof(struct tn_stat_page))
        return bad_page(target, "is too short for a stat page");
    const enum tn_stat_verdict verdict = look_often(target->page, ended ? 1 : ATTEMPTS, out);
    *torn = verdict == TN_STAT_TORN;
    if (verdict == TN_STAT_FOREIGN)
        return bad_page(target, "is not a stat page");
    if (verdict == TN_STAT_OTHER_VERSION)
        return bad_page(target, "is a stat page of another version");
    if (*torn && !ended)
        return bad_page(target, "is damaged: its checksum is wrong");
    return 0;
}
