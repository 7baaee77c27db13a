/* The report page: what a process under `terrane run` leaves behind, laid out for another program.
 *
 * Each process maps one file `<pid>.<nanoseconds>.report` of this layout, shared, and counts into
 * it as it runs, so that the counts outlive it however it dies. `terrane run` reads the files.
 * Writer and reader come from one build and run on one machine, so the layout has a version but no
 * byte order; a reader refuses every other version and size. This header holds only the layout and
 * what both sides must compute alike.
 *
 *   0       struct tn_report_page up to `shards`: identity, state, process counters, usage
 *   2048    shards: counters of one thread each; shard 0 is shared by the threads that found no
 *           other. The process's number is the sum over all shards.
 *   14336   slots: memory over time
 *
 * A process may be killed between any two stores. Every 64-bit word is written with one store, so
 * each word is right by itself; words may be one call apart from each other. Times in the slots
 * rise strictly, except when the process died while it merged them: a reader skips slots whose time
 * is not above that of the one before. */
#ifndef TN_REPORT_PAGE_H
#define TN_REPORT_PAGE_H

#include "base/base.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define TN_REPORT_MAGIC       UINT64_C(0x74726f7065726e74)
#define TN_REPORT_VERSION     1u
#define TN_REPORT_SUFFIX      ".report"
#define TN_REPORT_SHARDS      16u
#define TN_REPORT_SLOTS       512u
#define TN_REPORT_COMMAND_MAX 1024u
#define TN_REPORT_STATS_WORDS 48u

/* Request sizes are counted in steps of 16 bytes up to 128, then in 4 steps a doubling up to 32
 * KiB, then in doublings up to 2^48. */
#define TN_REPORT_CLASSES      73u
#define TN_REPORT_FINE_CLASSES 40u
#define TN_REPORT_FINE_MAX     ((size_t)32768)

enum tn_report_state {
    TN_REPORT_RUNNING = 1, /* running, or ended without its exit handlers */
    TN_REPORT_ENDED = 2,   /* `exit_status` is what it passed to exit */
};

/* How a resize was done. */
enum tn_resize {
    TN_RESIZE_SAME,     /* the new size fits the object's class: nothing done */
    TN_RESIZE_IN_PLACE, /* pages added or given back at the same address */
    TN_RESIZE_MOVED,    /* pages remapped to another address */
    TN_RESIZE_COPIED,   /* bytes copied */
    TN_RESIZE_WAYS
};

struct tn_report_shard {
    _Atomic uint64_t allocs;
    _Atomic uint64_t alloc_bytes; /* as requested, resizes included */
    _Atomic uint64_t frees;
    _Atomic uint64_t freed_bytes;                  /* usable */
    _Atomic uint64_t resizes[TN_RESIZE_WAYS];      /* by way */
    _Atomic uint64_t resize_bytes[TN_RESIZE_WAYS]; /* contents kept: the smaller of old and new */
    _Atomic uint64_t live_pending; /* signed; change of live bytes not yet in the page's sum */
    _Atomic uint64_t timed_calls;
    _Atomic uint64_t ticks; /* duration of the timed calls, each times the calls it stands for */
    _Atomic uint64_t classes[TN_REPORT_CLASSES]; /* requests by size */
    uint64_t reserved[8];
};

/* One stretch of time; it ends where the next begins. */
struct tn_report_slot {
    _Atomic uint64_t end_ns;         /* since the page's start_ns */
    _Atomic uint64_t live_mean;      /* usable bytes of live objects, weighted by time */
    _Atomic uint64_t live_peak;      /* their maximum */
    _Atomic uint64_t resident_bytes; /* of the whole process at the end; 0: unknown */
};

/* What the kernel says of the process so far. */
struct tn_report_usage {
    _Atomic uint64_t user_us;
    _Atomic uint64_t system_us;
    _Atomic uint64_t minor_faults;
    _Atomic uint64_t major_faults;
    _Atomic uint64_t resident_peak; /* bytes; exact at the end, of the samples until then */
};

struct tn_report_page {
    uint64_t magic;
    uint32_t version;
    uint32_t size_bytes; /* of this struct */
    uint32_t pid;
    uint32_t parent_pid;
    uint32_t forked; /* 1: began as a fork of parent_pid; 0: began with exec */
    _Atomic uint32_t state;
    _Atomic uint32_t exit_status;
    uint32_t stats_words; /* how many words of `stats` this version of terrane_stats has */
    uint64_t start_ns;    /* monotonic clock, the same for all processes of the machine */

    _Atomic uint64_t last_ns;     /* end of the last sample, monotonic clock */
    _Atomic uint64_t next_ns;     /* when the next sample is due */
    _Atomic uint32_t sampling;    /* 1 while a thread writes the slots */
    _Atomic uint32_t slots_count; /* slots in use, the open one included */
    _Atomic uint64_t slot_ns;     /* length of a slot; doubles when the slots are full */
    _Atomic uint64_t live_bytes;  /* signed; without what is pending in the shards */
    _Atomic uint64_t live_last;   /* at last_ns */
    _Atomic uint64_t live_peak;   /* up to last_ns */
    _Atomic uint64_t window_peak; /* since last_ns */
    struct tn_report_usage usage;
    _Atomic uint64_t stats[TN_REPORT_STATS_WORDS]; /* struct terrane_stats at last_ns */

    char command[TN_REPORT_COMMAND_MAX]; /* arguments, joined by spaces, terminated */
    uint8_t reserved[488];
    struct tn_report_shard shards[TN_REPORT_SHARDS];
    struct tn_report_slot slots[TN_REPORT_SLOTS];
};

_Static_assert(sizeof(struct tn_report_shard) == 768, "a shard fills whole cache lines");
_Static_assert(sizeof(struct tn_report_slot) == 32, "layout of version 1");
_Static_assert(offsetof(struct tn_report_page, shards) == 2048, "layout of version 1");
_Static_assert(offsetof(struct tn_report_page, slots) == 2048 + 16 * 768, "layout of version 1");
_Static_assert(sizeof(struct tn_report_page) == 2048 + 16 * 768 + 512 * 32, "layout of version 1");
_Static_assert(sizeof(_Atomic uint64_t) == sizeof(uint64_t), "a shared word is a plain word");

/* The class of a request. */
static inline unsigned tn_report_class(size_t size)
{
    if (size <= 128)
        return size == 0 ? 0 : (unsigned)((size - 1) / 16);
    const unsigned top = tn_highest_bit(size - 1);
    if (size <= TN_REPORT_FINE_MAX)
        return 8 + (top - 7) * 4 + ((unsigned)((size - 1) >> (top - 2)) & 3);
    const unsigned index = TN_REPORT_FINE_CLASSES + (top - 15);
    return index < TN_REPORT_CLASSES ? index : TN_REPORT_CLASSES - 1;
}

/* The largest request of a class (the last one has no limit; its nominal one is returned). */
static inline uint64_t tn_report_class_limit(unsigned index)
{
    if (index < 8)
        return 16 * ((uint64_t)index + 1);
    if (index >= TN_REPORT_FINE_CLASSES)
        return (uint64_t)1 << (16 + index - TN_REPORT_FINE_CLASSES);
    const unsigned doubling = (index - 8) / 4;
    const unsigned step = (index - 8) % 4;
    return (uint64_t)(5 + step) << (doubling + 5);
}

#endif
