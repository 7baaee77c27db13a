/* What malloc tells about itself: mallinfo, malloc_stats, malloc_info, mallopt; see malloc(3). */
#include "base/base.h"
#include "malloc_family.h"
#include "space/space.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <terrane/version.h>

#define EXPORT TERRANE_API

/* Counters of the default space; all zero before the first allocation. */
static struct terrane_stats stats_now(void)
{
    struct terrane_stats stats = {.version = TERRANE_STATS_VERSION};
    const struct terrane_space *space = tn_space_default_if_any();
    if (space != NULL)
        terrane_space_stats(space, &stats);
    return stats;
}

EXPORT struct mallinfo2 mallinfo2(void)
{
    const struct terrane_stats stats = stats_now();
    return (struct mallinfo2){
        .arena = stats.small_bytes + stats.dirty_bytes,
        .ordblks = stats.dirty_bytes / TN_BLOCK_BYTES,
        .hblks = stats.large_allocs - stats.large_frees,
        .hblkhd = stats.large_bytes,
        .uordblks = stats.small_bytes,
        .fordblks = stats.dirty_bytes,
        .keepcost = stats.dirty_bytes,
    };
}

static int clamped(size_t n)
{
    return n > INT_MAX ? INT_MAX : (int)n;
}

EXPORT struct mallinfo mallinfo(void)
{
    const struct mallinfo2 info = mallinfo2();
    return (struct mallinfo){
        .arena = clamped(info.arena),
        .ordblks = clamped(info.ordblks),
        .hblks = clamped(info.hblks),
        .hblkhd = clamped(info.hblkhd),
        .uordblks = clamped(info.uordblks),
        .fordblks = clamped(info.fordblks),
        .keepcost = clamped(info.keepcost),
    };
}

EXPORT void malloc_stats(void)
{
    const struct terrane_stats stats = stats_now();
    char text[TN_MESSAGE_MAX];
    const size_t length =
        tn_format(text, sizeof(text),
                  "terrane %s\n"
                  "in use   %z bytes (small %z, large %z), peak %z\n"
                  "warm     %z bytes free\n"
                  "moved    %z bytes in %z moves, copied %z bytes\n"
                  "mappings %z of %z\n",
                  terrane_version(), (size_t)stats.run_bytes, (size_t)stats.small_bytes,
                  (size_t)stats.large_bytes, (size_t)stats.run_bytes_peak,
                  (size_t)stats.dirty_bytes, (size_t)stats.move_bytes, (size_t)stats.moves,
                  (size_t)stats.copy_bytes, (size_t)stats.mappings, (size_t)stats.mappings_budget);
    tn_message_write(text, length);
}

EXPORT int malloc_info(int options, FILE *stream)
{
    if (options != 0) {
        errno = EINVAL;
        return -1;
    }
    const struct terrane_stats stats = stats_now();
    const int written =
        fprintf(stream,
                "<malloc version=\"terrane-%s\">\n"
                "<total type=\"small\" size=\"%zu\"/>\n"
                "<total type=\"large\" count=\"%zu\" size=\"%zu\"/>\n"
                "<total type=\"warm\" size=\"%zu\"/>\n"
                "<system type=\"current\" size=\"%zu\"/>\n"
                "<system type=\"max\" size=\"%zu\"/>\n"
                "</malloc>\n",
                terrane_version(), (size_t)stats.small_bytes,
                (size_t)(stats.large_allocs - stats.large_frees), (size_t)stats.large_bytes,
                (size_t)stats.dirty_bytes, (size_t)(stats.run_bytes + stats.dirty_bytes),
                (size_t)stats.run_bytes_peak);
    return written < 0 ? -1 : 0;
}

/* Parameters of other mallocs have no meaning here; the ones that glibc knows are accepted. */
EXPORT int mallopt(int parameter, int value)
{
    (void)value;
    switch (parameter) {
    case M_MMAP_THRESHOLD:
    case M_MMAP_MAX:
    case M_TRIM_THRESHOLD:
    case M_TOP_PAD:
    case M_MXFAST:
    case M_CHECK_ACTION:
    case M_PERTURB:
    case M_ARENA_TEST:
    case M_ARENA_MAX:
        return 1;
    default:
        return 0;
    }
}
