/* The stat page: the figures of all spaces of a running process, laid out for another program.
 *
 * A process that publishes keeps one file of this layout mapped, shared: a memfd named
 * "terrane-stat", or DIR/terrane-stat.PID. `terrane stat` reads it. Writer and reader may come from
 * different builds: a reader refuses every other version, also those of the two public structs.
 *
 *   0       head: identity, sequence, which slots are used, checksum of the snapshot
 *   4096    slot 0: the figures of the space with number 0
 *   8192    slot 1 ...
 *
 * The file is as long as all slots and sparse. A slot gets its memory before its first use, so that
 * a full file system costs the process its figures and nothing else.
 *
 * The snapshot is under a sequence lock: `sequence` is odd while it is written, and one snapshot
 * ends two above the one before.
 *
 *   writer   sequence = odd, relaxed; every word of the snapshot, release; sequence = even, release
 *   reader   sequence, every word, sequence: acquire
 *
 * A reader that sees a word of a new snapshot acquires with it the odd sequence stored before, so
 * its second look at the sequence differs from the first. `terrane stat` must not map a file that
 * somebody may cut short, so it copies by read(2), whose copy promises no order. Hence `checksum`
 * over the whole snapshot: a copy is good if its sequence is even and its checksum right, and is
 * taken anew otherwise. A process killed in the middle of a write leaves an odd sequence for ever;
 * each word is right by itself then. */
#ifndef TN_STAT_PAGE_H
#define TN_STAT_PAGE_H

#include "stats/figures.h"

#include <stdatomic.h>

#define TN_STAT_MAGIC       UINT64_C(0x746174736e727274)
#define TN_STAT_VERSION     1u
#define TN_STAT_NAME        "terrane-stat"
#define TN_STAT_SLOT_BYTES  4096u
#define TN_STAT_SPACE_WORDS (sizeof(struct terrane_stats) / sizeof(uint64_t))
#define TN_STAT_POOL_WORDS  (sizeof(struct terrane_pool_stats) / sizeof(uint64_t))
#define TN_STAT_USED_WORDS  ((TN_SPACES_MAX + 63) / 64)

enum tn_stat_state {
    TN_STAT_RUNNING = 1, /* or ended without its exit handlers */
    TN_STAT_ENDED = 2,   /* the last snapshot is final: the process ended or unpublished */
};

struct tn_stat_head {
    uint64_t magic; /* written last at creation */
    uint32_t version;
    uint32_t slots_max;
    uint32_t pid;
    uint32_t stats_version; /* TERRANE_STATS_VERSION and */
    uint32_t pool_version;  /* TERRANE_POOL_STATS_VERSION of the writer */
    uint32_t space_words;   /* of struct terrane_stats, */
    uint32_t pool_words;    /* of struct terrane_pool_stats */
    _Atomic uint32_t state;
    uint64_t start_ns; /* monotonic clock, the same for all processes of the machine */

    _Atomic uint64_t sequence;
    _Atomic uint64_t checksum;                 /* of the snapshot with the sequence that ends it */
    _Atomic uint64_t time_ns;                  /* when the snapshot was taken, monotonic clock */
    _Atomic uint64_t missing;                  /* spaces without a slot: no memory for it */
    _Atomic uint64_t used[TN_STAT_USED_WORDS]; /* bit id: slot id holds figures */
};

struct tn_stat_slot {
    _Atomic uint64_t backing;
    _Atomic uint64_t space[TN_STAT_SPACE_WORDS];
    _Atomic uint64_t pool[TN_STAT_POOL_WORDS];
};

struct tn_stat_page {
    union {
        struct tn_stat_head head;
        char head_room[TN_STAT_SLOT_BYTES];
    };
    union {
        struct tn_stat_slot slot;
        char room[TN_STAT_SLOT_BYTES];
    } slots[TN_SPACES_MAX];
};

_Static_assert(sizeof(struct tn_stat_head) <= TN_STAT_SLOT_BYTES, "the head fits its page");
_Static_assert(sizeof(struct tn_stat_slot) <= TN_STAT_SLOT_BYTES, "the figures fit a slot");
_Static_assert(offsetof(struct tn_stat_page, slots) == TN_STAT_SLOT_BYTES, "layout of version 1");
_Static_assert(offsetof(struct tn_stat_head, sequence) == 48, "layout of version 1");

/* The checksum of a snapshot is the fold of its words, beginning with 0: sequence, time, for each
 * used slot by number that number and the slot's words, then missing and the used words. */
static inline uint64_t tn_stat_fold(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return sum ^ sum >> 32;
}

#endif
