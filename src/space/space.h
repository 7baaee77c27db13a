/* The space floor: a reserved window of addresses, its runs, and the verbs on their pages.
 *
 * The window is laid out once, for the most blocks it can ever hold, and touched only as far as
 * used:
 *
 *   |<- tables: one row a block, each table page-aligned ->|<- blocks, aligned to 1 GiB ->| | nodes
 * | mini | blocks | remote | held | extents      | block 0 | block 1 | ...               |
 *
 * A pointer finds its block with one subtraction and a shift, its descriptors with one
 * multiplication. What the rows of the upper floors' tables mean is theirs; the space only gives
 * them room. Process-local state (this struct, locks, descriptors of files) is not in the window.
 *
 * Private backing: the window is anonymous memory. Moves are mremap; a moved run is a mapping of
 * its own until it is freed and mapped afresh, and that is what the mapping budget counts.
 *
 * Shared backing (backing_shared.c): block b of the window shows extent b of one sparse file, so
 * that the whole window is a single mapping. Moves and aliases make window blocks show other
 * extents.
 *
 * Lock: `lock` (rank TN_RANK_SPACE) guards the buddy, the commit frontier and the extent tables.
 * Calls lock by themselves unless their comment says "locked". */
#ifndef TN_SPACE_H
#define TN_SPACE_H

#include "base/base.h"
#include "os/os.h"
#include "space/atfork.h"
#include "space/buddy.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/space.h>

#define TN_BLOCK_SHIFT 16
#define TN_BLOCK_BYTES ((size_t)1 << TN_BLOCK_SHIFT)

/* Order of the runs that are one 2 MiB page: the unit of huge pages. */
#define TN_HUGE_SHIFT 21
#define TN_HUGE_ORDER (TN_HUGE_SHIFT - TN_BLOCK_SHIFT)
#define TN_HUGE_BYTES ((size_t)1 << TN_HUGE_SHIFT)

/* The tables in front of the blocks, in window order, and the bytes of one row. Owners assert that
 * their struct fits. */
enum tn_table {
    TN_TABLE_NODES,   /* struct tn_node, this floor */
    TN_TABLE_MINI,    /* heap: 32 minipage codes */
    TN_TABLE_BLOCKS,  /* heap: struct tn_block */
    TN_TABLE_REMOTE,  /* heap: bits of objects freed by other threads */
    TN_TABLE_HELD,    /* heap: bits of objects in quarantine (hardened heaps) */
    TN_TABLE_REGIONS, /* pool: struct tn_region_row */
    TN_TABLE_EXTENTS, /* shared backings: struct tn_extent */
    TN_TABLE_HOMES,   /* pool, with several memory nodes: the one that a run's pages come from */
    TN_TABLES
};
#define TN_ROW_NODES   12
#define TN_ROW_MINI    64
#define TN_ROW_BLOCKS  1088
#define TN_ROW_REMOTE  512
#define TN_ROW_HELD    512
#define TN_ROW_REGIONS 16
#define TN_ROW_EXTENTS 8
#define TN_ROW_HOMES   1

/* What is counted; read without the lock. The order is that of struct terrane_stats. */
enum tn_counter {
    TN_COUNT_RUN_BYTES,
    TN_COUNT_RUN_BYTES_PEAK,
    TN_COUNT_DIRTY_BYTES,
    TN_COUNT_SMALL_BYTES,
    TN_COUNT_LARGE_BYTES,
    TN_COUNT_MAPPINGS,
    TN_COUNT_MAPPINGS_BUDGET,
    TN_COUNT_COMMITS,
    TN_COUNT_DISCARDS,
    TN_COUNT_DISCARD_BYTES,
    TN_COUNT_MOVES,
    TN_COUNT_MOVE_BYTES,
    TN_COUNT_COPIES,
    TN_COUNT_COPY_BYTES,
    TN_COUNT_GROWN_IN_PLACE,
    TN_COUNT_ALIASES,
    TN_COUNT_ALIAS_BYTES,
    TN_COUNT_BUDGET_REFUSALS,
    TN_COUNT_LARGE_ALLOCS,
    TN_COUNT_LARGE_FREES,
    TN_COUNT_REMOTE_FREES,
    TN_COUNT_HEAPS,
    TN_COUNT_ADOPTIONS,
    TN_COUNT_SMALL_REFILLS,
    TN_COUNT_SMALL_FLUSHES,
    TN_COUNTERS
};

/* More of them, for the pool's own statistics. */
enum tn_pool_counter {
    TN_POOL_ELIDED_BYTES,  /* changed bytes that were freed before they were written out */
    TN_POOL_EVICTED_BYTES, /* written out and dropped for the resident budget */
    TN_POOL_COUNTERS
};

/* Room for what the pool keeps of each space: struct tn_pool_state, guarded by the space's lock;
 * and for what it keeps of each memory node but the first. */
#define TN_POOL_ROOM_BYTES 8192
#define TN_NODE_ROOM_BYTES 2048

/* Memory nodes that are told apart; a node above them counts as the first. */
#define TN_NODES_MAX 64

/* Ends what an upper floor keeps of a space that is destroyed. */
typedef void tn_space_end(struct terrane_space *space);

struct terrane_space {
    /* Constant after creation. */
    char *base;           /* block 0 */
    uint32_t block_count; /* blocks in the window */
    uint32_t id;          /* index in the registry */
    enum terrane_backing backing;
    const struct tn_backing_verbs *verbs;
    bool lazy_commit;  /* blocks are made accessible one by one (strict overcommit) */
    bool reserve_file; /* file space is reserved at commit (scratch, huge-page memfd) */
    bool foreign;      /* shared, and the parent's: set in the child of fork before it goes on */
    int fd;            /* shared backings, else -1 */
    size_t page_bytes; /* of this space: ordinary or huge */
    size_t move_min_bytes; /* 0: measured */
    uint32_t nodes;        /* memory nodes that pages come from; 1 where placement is no question */
    int numa_node;         /* the node whose pages are preferred; -1: none */
    char *node_room;       /* of the pool, for each node but the first */
    char *reservation;     /* the whole reservation: tables and blocks */
    size_t reservation_bytes;
    char *tables[TN_TABLES];

    struct tn_lock lock; /* guards the fields from here to `counters` */
    bool process_counts; /* what is handed out counts for the process's limit too */
    struct tn_buddy buddy;
    uint64_t *huge_units;   /* bit u: huge pages are wanted in the u-th 2 MiB of the window */
    uint32_t tables_blocks; /* rows below are accessible */
    uint32_t stuck;         /* list of used runs whose own mapping the kernel refused, plus one */
    uint64_t warm_bytes;    /* of used runs, those that the pool keeps warm for the next user */
    _Alignas(16) char pool_room[TN_POOL_ROOM_BYTES];

    _Atomic uint64_t counters[TN_COUNTERS]; /* relaxed; written under the lock or by atomic adds */

    _Atomic uint64_t pool_counters[TN_POOL_COUNTERS]; /* relaxed, by atomic adds */

    _Atomic size_t limit_bytes;    /* SIZE_MAX: none; relaxed */
    void *_Atomic regions;         /* pool floor: threads' caches of regions, once there are any */
    tn_space_end *regions_release; /* ends them; constant once they exist */
    void *_Atomic heaps;           /* heap floor: its table of heaps in this space */
    tn_space_end *heaps_release;   /* ends it; constant once it exists */

    void *_Atomic arrays;         /* array floor: heaps and locks of its arrays */
    tn_space_end *arrays_release; /* ends them; constant once they exist */

    struct tn_budget *_Atomic budget; /* pool floor: its resident budget, or NULL */
    _Atomic bool whole_pieces;        /* relaxed; scratch: large runs are wanted in 2 MiB at once */
    _Atomic bool whole_paused;        /* relaxed; but not now: it is only noted where */
    tn_space_end *budget_release;     /* as above */
};

/* What differs between backings. Arguments were checked by space.c; errors as at the tn_space_
 * call. */
struct tn_backing_verbs {
    int (*commit)(struct terrane_space *space, char *addr, size_t bytes);
    int (*discard)(struct terrane_space *space, char *addr, size_t bytes);
    void (*retire)(struct terrane_space *space, uint32_t block, unsigned order);
    int (*move)(struct terrane_space *from_space, char *from, struct terrane_space *to_space,
                char *to, size_t bytes);
    int (*exchange)(struct terrane_space *space, char *a, char *b, size_t bytes);
    int (*alias)(struct terrane_space *space, char *from, char *to, size_t bytes);
};
extern const struct tn_backing_verbs tn_private_verbs;
extern const struct tn_backing_verbs tn_shared_verbs;

/* ---- counters: relaxed, they order nothing ---- */

static inline void tn_count(struct terrane_space *space, enum tn_counter which, uint64_t n)
{
    atomic_fetch_add_explicit(&space->counters[which], n, memory_order_relaxed);
}

static inline void tn_uncount(struct terrane_space *space, enum tn_counter which, uint64_t n)
{
    atomic_fetch_sub_explicit(&space->counters[which], n, memory_order_relaxed);
}

static inline uint64_t tn_counted(const struct terrane_space *space, enum tn_counter which)
{
    return atomic_load_explicit(&space->counters[which], memory_order_relaxed);
}

/* Whether its memory is not there: a scratch space of the parent's, in the child of fork. */
static inline bool tn_space_is_gone(const struct terrane_space *space)
{
    return space->foreign && space->backing == TERRANE_BACKING_SCRATCH;
}

/* ---- addresses ---- */

/* The space that `pointer` lies in; NULL if in none. O(1), no lock. */
struct terrane_space *tn_space_of(const void *pointer);

/* Spaces that can exist at a time; ids are below. */
#define TN_SPACES_MAX 250

/* The space with this id, or NULL. */
struct terrane_space *tn_space_at(uint32_t id);

/* The same, but the space is not destroyed until the caller leaves it: who destroys it waits. */
struct terrane_space *tn_space_visit(uint32_t id);
void tn_space_leave(uint32_t id);

/* Makes known what an upper floor keeps of a space, in one of the space's pointers, and that `by`
 * ends it: never during a fork, whose thread holds the locks of all that is known. False: there is
 * such a thing already. */
bool tn_space_publish(void *_Atomic *pointer, void *thing, tn_space_end **end, tn_space_end *by);

/* The default space if it exists, else NULL. */
struct terrane_space *tn_space_default_if_any(void);

static inline char *tn_block_addr(const struct terrane_space *space, uint32_t block)
{
    return space->base + ((size_t)block << TN_BLOCK_SHIFT);
}

static inline size_t tn_offset_of(const struct terrane_space *space, const void *pointer)
{
    return (size_t)((uintptr_t)pointer - (uintptr_t)space->base);
}

static inline uint32_t tn_block_of(const struct terrane_space *space, const void *pointer)
{
    return (uint32_t)(tn_offset_of(space, pointer) >> TN_BLOCK_SHIFT);
}

/* Smallest order whose runs hold `bytes`; above TN_ORDER_MAX if none does. */
static inline unsigned tn_order_of_bytes(size_t bytes)
{
    return bytes <= TN_BLOCK_BYTES ? 0 : tn_order_up(bytes) - TN_BLOCK_SHIFT;
}

static inline size_t tn_bytes_of_order(unsigned order)
{
    return TN_BLOCK_BYTES << order;
}

/* ---- runs (used by the pool floor) ---- */

/* Makes [addr, addr + bytes) of a used run usable. -ENOMEM, -ENOSPC, -EIO; nothing changed then. */
int tn_space_commit(struct terrane_space *space, char *addr, size_t bytes);

/* Makes sure that the tables have rows for all blocks below `upto`. Locked. -ENOMEM. */
int tn_space_reach(struct terrane_space *space, uint64_t upto);

/* Keeps a used run for a later retirement: the kernel refuses to map it as its own. Locked. */
void tn_space_stick(struct terrane_space *space, uint32_t block);

/* Retires anew what the kernel refused to map before. */
void tn_space_retry(struct terrane_space *space);

/* Forgets advice on the huge pages of a range: its mapping is fresh. Locked. */
void tn_space_forget_huge(struct terrane_space *space, char *addr, size_t bytes);

/* Forgets advice on units that blocks lie in and that are clean as a whole: they have been mapped
 * afresh part by part. Locked. */
void tn_space_forget_clean(struct terrane_space *space, uint32_t block, uint32_t count);

/* Bytes of free runs whose pages are still there. Locked. */
static inline uint64_t tn_space_dirty_bytes(const struct terrane_space *space)
{
    return (space->buddy.free_blocks[TN_RUN_DIRTY] << TN_BLOCK_SHIFT) + space->warm_bytes;
}

/* Gives a run to the buddy and brings the count of dirty bytes up to date. Locked. */
void tn_space_put(struct terrane_space *space, uint32_t block, unsigned order,
                  enum tn_run_state state);
void tn_space_note_dirty(struct terrane_space *space);

/* Counts `bytes` as handed out. Locked. -ENOMEM if that passes a limit. */
int tn_space_charge(struct terrane_space *space, size_t bytes);
void tn_space_uncharge(struct terrane_space *space, size_t bytes);

/* Counts again what was uncharged a moment ago. Locked. */
void tn_space_recharge(struct terrane_space *space, size_t bytes);

/* Whether a limit, of the space or the process, leaves less than `bytes`. */
bool tn_space_is_full(const struct terrane_space *space, size_t bytes);

/* A space ends: the process's sum forgets it. */
void tn_space_forget_charges(const struct terrane_space *space);

/* Sets the limit of the process; SIZE_MAX: none. Spaces count for it from now on. */
void tn_process_limit_set(size_t bytes);
bool tn_process_is_limited(void);

/* ---- pages of runs that the caller owns ---- */

/* Gives the pages of a range back; it reads as zero. Blocks of it that are not exclusive (see
 * tn_space_exclusive) stay as they are, and must not count as zero. -ENOMEM, -EIO, -ENOSPC:
 * contents unknown only in the sense that some pages may be zero already. -EPERM (foreign space).
 */
int tn_space_discard(struct terrane_space *space, void *addr, size_t bytes);

/* Gives a used run back to the buddy as clean: its pages go to the kernel, and whatever moves,
 * aliases, guards and advice have done to its mapping is undone. Extents that other runs still show
 * stay, and the blocks that own them come back when those runs are retired. Takes the lock. Cannot
 * fail: where the kernel refuses, pages or addresses stay out of use until a later call. */
void tn_space_retire(struct terrane_space *space, uint32_t block, unsigned order);

/* Whether a used run can be reused warm, as it is: nothing shows it, guards it or lies in its
 * place. */
static inline bool tn_run_plain(const struct terrane_space *space, uint32_t block)
{
    return (tn_run_flags(&space->buddy.nodes[block]) & (TN_RUN_REMAPPED | TN_RUN_SHOWN)) == 0;
}

/* Moves the pages of `bytes` at `from` to `to`, each inside a run and at multiples of a page, on
 * shared spaces of a block; on private ones `to` lies in a run that is not cut. A private source
 * has no pages then and may only be given back; a shared one shows its own until it is given back,
 * as with an alias. `to` need not be committed. Both spaces must have the same backing; shared ones
 * must be one space. -ENOMEM (mappings: counted as refusal), -ENOTSUP: nothing changed, the caller
 * copies. */
int tn_space_move(struct terrane_space *from_space, char *from, struct terrane_space *to_space,
                  char *to, size_t bytes);

/* Swaps the pages of two equal ranges. Errors as tn_space_move. */
int tn_space_exchange(struct terrane_space *space, char *a, char *b, size_t bytes);

/* Makes `to` show the very pages of `from` (shared backings): a store through one is seen through
 * the other. Both are ranges anywhere in used runs of the caller's that are not cut, apart from
 * each other and aligned to blocks and to the space's pages; `from` may show others' pages. What
 * `to` showed before is let go; pages go back when nobody shows them any more. -ENOTSUP (private,
 * or ranges that are not aligned), -ENOMEM: nothing changed, but that, when the process is at the
 * kernel's own limit of mappings, a first part of `to` may show `from` already, and is not
 * exclusive then. */
int tn_space_alias(struct terrane_space *space, char *from, char *to, size_t bytes);

/* The same for a caller who has copied to `from` what others show too at `to`, to store there:
 * contents stay. The run of `from` is to be given back next; its addresses come back when `to` lets
 * the pages go. */
int tn_space_replace(struct terrane_space *space, char *from, char *to, size_t bytes);

/* Whether stores to a range of the caller's are seen nowhere else: no other block of a used run
 * shows what its blocks show. Takes the lock. Only the caller can make a yes a no. */
bool tn_space_exclusive(struct terrane_space *space, const char *addr, size_t bytes);

/* Bytes from `addr` on, at most `bytes`, for which the answer is *exclusive: up to where it changes
 * at a block. */
size_t tn_space_exclusive_bytes(struct terrane_space *space, const char *addr, size_t bytes,
                                bool *exclusive);

/* Maps a range of a shared space to its file from `offset` on. -ENOMEM, -ENOTSUP. */
int tn_space_map_file(struct terrane_space *space, char *addr, size_t bytes, uint64_t offset);

/* Private spaces: maps part of somebody's file in place of the memory of a range of the run that
 * starts at block `run`; on failure the range may have zero pages. Retiring the run undoes it. What
 * the file gave, -ENOTSUP (it cannot be mapped), -ENOMEM. */
int tn_space_map_part(struct terrane_space *space, uint32_t run, char *addr, size_t bytes,
                      const struct tn_os_file_part *part);

/* Part of the file of a shared space. */
struct tn_file_range {
    uint64_t offset, bytes;
};

struct tn_block_range {
    uint32_t block, count;
};

/* What blocks of a shared space show of its file, neighbours as one range, up to `max` ranges;
 * their number. Blocks that are retired and wait for others to let their extents go show nothing.
 * Takes the lock; moves may change the answer later. */
unsigned tn_space_file_ranges(struct terrane_space *space, struct tn_block_range blocks,
                              struct tn_file_range *out, unsigned max);

/* Sets what the process may do to a range of the run that starts at block `run`. -ENOMEM. */
int tn_space_protect(struct terrane_space *space, uint32_t run, void *addr, size_t bytes,
                     bool readable, bool writable);

/* Asks for huge pages in the whole 2 MiB units of a committed range. A hint: refusals are ignored.
 */
void tn_space_advise_huge(struct terrane_space *space, char *addr, size_t bytes);

/* Whether they were asked for in a unit that a range covers or lies in. Takes the lock. */
bool tn_space_any_huge(struct terrane_space *space, char *addr, size_t bytes);

/* Wants them for the whole 2 MiB units of a run's bytes, and for the last one where little is lost.
 */
void tn_space_want_huge(struct terrane_space *space, uint32_t block, unsigned order, size_t bytes);

/* Says that a range will not be needed soon. A hint. */
void tn_space_cool(struct terrane_space *space, char *addr, size_t bytes);

/* Scratch spaces: no longer wants them in all units that a range lies in. They are wanted only
 * where the file has room for all of their pages, since a store to one makes the file system find
 * room for all. A hint. */
void tn_space_unwant_huge(struct terrane_space *space, char *addr, size_t bytes);

/* Scratch spaces: takes that back everywhere for a while, and gives it again. One thread at a time.
 */
void tn_space_pause_huge(struct terrane_space *space, bool paused);

/* Makes pages fault on access; their contents are gone. Retiring the run, which starts at block
 * `run`, undoes it. -ENOMEM. */
int tn_space_guard(struct terrane_space *space, uint32_t run, void *addr, size_t bytes);

/* ---- the mapping budget ---- */

/* Takes `count` mappings from the budget; false (counted as a refusal) if they are not left. */
bool tn_mappings_take(struct terrane_space *space, unsigned count);
void tn_mappings_give(struct terrane_space *space, unsigned count);

/* Notes in the node of the used run that `block` lies in that it has been made special, and what
 * that costs. Locked. */
void tn_run_note(struct terrane_space *space, uint32_t block, uint8_t flag, unsigned mappings);

/* ---- when moving pays ---- */

/* Smallest size from which moving pages into the space is cheaper than copying them: what its
 * options say, or measured when it has been asked often enough to matter. */
size_t tn_move_threshold(const struct terrane_space *space);

/* Checks buddy, tables and counters against each other. Locked or quiet. */
void tn_space_audit(const struct terrane_space *space);

#endif
