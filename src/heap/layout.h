/* What a heap is made of. Private to the heap floor.
 *
 * A block of small objects is 32 minipages; spans of one class lie in it side by side:
 *
 *   block    | span, class 3 (2) | free (1) | span, class 17 (4) | free (25) ...        minipages
 *
 *   tables   mini[block][32]    for each minipage: class of its span, distance to the span's start
 *            blocks[block]      map of free minipages, links, 32 span headers, 4 096 slot bits
 *            remote[block][64]  bits of slots that other threads have freed
 *            held[block][64]    bits of slots in quarantine (hardened heaps)
 *
 * A span that starts at minipage m has its header in spans[m] and its slot bits in the 64-bit words
 * from 2m on: a minipage has room for 128 slots of 16 bytes, hence for two words. A set bit is a
 * free slot. Slots in a heap's caches count as used.
 *
 * A large object is a run; the descriptor of its first block says so, and mini is 0 there.
 *
 * Invariants (I numbers are those of docs/invariants.md):
 *   I1  a minipage is free in free_map exactly if its mini code is 0 (blocks of small objects)
 *   I2  a span's free_count is the number of set bits among its slots; bits behind them are 0
 *   I3  a span is in its heap's open list exactly if free_count > 0
 *   I4  a block is in the roomy list of its longest run of free minipages, in none if it has none
 *   I5  a block's remote_words has bit w set, or is being collected, if remote word w is not 0
 *   I6  a block with remote_words != 0 is on its heap's remote list, once */
#ifndef TN_HEAP_LAYOUT_H
#define TN_HEAP_LAYOUT_H

#include "heap/classes.h"
#include "heap/heap.h"
#include "pool/pool.h"

#include <errno.h>

#define TN_MINIPAGES      32
#define TN_MINIPAGE_SHIFT 11
#define TN_MINIPAGE_BYTES ((size_t)1 << TN_MINIPAGE_SHIFT)
#define TN_WORDS          64 /* of slot bits in a block */
#define TN_NONE           UINT32_MAX

enum tn_block_use { TN_USE_NONE, TN_USE_SMALL, TN_USE_LARGE };

/* Valid in the slot of a span's first minipage. Span ids are block * 32 + first minipage. */
struct tn_span {
    uint16_t free_count; /* set bits */
    uint16_t slot_count;
    uint8_t class;
    uint8_t length; /* minipages */
    uint8_t hint;   /* no word before this one has a set bit */
    uint8_t reserved;
    uint32_t next, prev; /* span ids in the heap's open list of the class; TN_NONE at the ends */
};

struct tn_block {
    _Atomic uint32_t heap;       /* id of the heap; relaxed: constant while an object in it lives */
    uint32_t free_map;           /* small: bit m: minipage m is free */
    uint8_t use;                 /* enum tn_block_use */
    uint8_t order;               /* large: of the run */
    uint8_t kind;                /* enum terrane_kind */
    uint8_t roomy;               /* small: which roomy list it is in, TN_ROOMY_NONE: none */
    uint32_t next, prev;         /* small: roomy list */
    uint32_t all_next, all_prev; /* the heap's blocks of small objects, or its large objects */
    uint32_t remote_next;        /* the heap's remote list, while remote_words != 0 */
    uint64_t bytes;              /* large: usable, page multiple; small: 0 */
    _Atomic uint64_t remote_words; /* bit w: remote word w may be non-zero */
    uint32_t offset; /* large: bytes from the run's start to the object; guarded objects */
    uint32_t tail;   /* large: inaccessible bytes at the end of `bytes`; guarded objects */
    uint64_t reserved;
    struct tn_span spans[TN_MINIPAGES];
    uint64_t bits[TN_WORDS];
};

_Static_assert(sizeof(struct tn_block) == TN_ROW_BLOCKS, "row size is part of the window's layout");
_Static_assert(sizeof(struct tn_span) == 16, "span headers fill their room");
_Static_assert(TN_MINIPAGES * sizeof(uint16_t) == TN_ROW_MINI, "mini codes fill their row");
_Static_assert(TN_WORDS * sizeof(uint64_t) == TN_ROW_REMOTE, "a row has a bit for each slot");
_Static_assert(TN_BLOCK_BYTES == TN_MINIPAGES * TN_MINIPAGE_BYTES, "32 minipages fill a block");

/* ---- from an address to its descriptors ---- */

static inline struct tn_block *tn_blocks(const struct terrane_space *space)
{
    return (struct tn_block *)(void *)space->tables[TN_TABLE_BLOCKS];
}

static inline struct tn_block *tn_block_at(const struct terrane_space *space, uint32_t block)
{
    return &tn_blocks(space)[block];
}

static inline uint16_t *tn_mini(const struct terrane_space *space)
{
    return (uint16_t *)(void *)space->tables[TN_TABLE_MINI];
}

static inline _Atomic uint64_t *tn_remote_bits(const struct terrane_space *space, uint32_t block)
{
    return (_Atomic uint64_t *)(void *)space->tables[TN_TABLE_REMOTE] + (size_t)block * TN_WORDS;
}

static inline uint64_t *tn_held_bits(const struct terrane_space *space, uint32_t block)
{
    return (uint64_t *)(void *)space->tables[TN_TABLE_HELD] + (size_t)block * TN_WORDS;
}

/* Where a small object lies. */
struct tn_slot {
    uint32_t block;
    unsigned start; /* first minipage of its span */
    unsigned slot;
    unsigned word; /* of the block's slot bits */
    uint64_t bit;  /* in that word */
    bool exact;    /* the pointer is the start of a slot that exists */
    struct tn_block *descriptor;
    struct tn_span *span;
};

/* Finds the slot of a pointer whose mini code is not 0. */
static inline struct tn_slot tn_slot_at(const struct terrane_space *space, const void *pointer)
{
    const size_t offset = tn_offset_of(space, pointer);
    const size_t minipage = offset >> TN_MINIPAGE_SHIFT;
    const unsigned code = tn_mini(space)[minipage];
    struct tn_slot at;
    at.block = (uint32_t)(offset >> TN_BLOCK_SHIFT);
    at.start = (unsigned)(minipage % TN_MINIPAGES) - TN_MINI_DISTANCE(code);
    at.descriptor = tn_block_at(space, at.block);
    at.span = &at.descriptor->spans[at.start];
    const uint32_t in =
        (uint32_t)(offset % TN_BLOCK_BYTES) - (uint32_t)(at.start << TN_MINIPAGE_SHIFT);
    const uint32_t magic = tn_classes[TN_MINI_CLASS(code)].magic;
    at.slot = tn_slot_of(in, magic);
    at.exact = tn_is_slot_start(in, magic) && at.slot < at.span->slot_count;
    at.word = 2 * at.start + at.slot / 64;
    at.bit = (uint64_t)1 << (at.slot % 64);
    return at;
}

static inline char *tn_slot_addr(const struct terrane_space *space, uint32_t block, unsigned start,
                                 unsigned slot, unsigned class)
{
    return tn_block_addr(space, block) + ((size_t)start << TN_MINIPAGE_SHIFT) +
           (size_t)slot * tn_classes[class].size;
}

/* ---- refusals ---- */

/* Whether nothing can be allocated: the heap none, and the parent's heaps in a shared space. */
static inline bool tn_heap_refuses(const struct terrane_heap *heap)
{
    return heap->space == NULL || heap->space->foreign;
}

/* errno for an allocation that failed. */
static inline int tn_refusal(const struct terrane_heap *heap)
{
    return heap->space != NULL && heap->space->foreign ? EPERM : ENOMEM;
}

/* ---- inside the floor, by file ---- */

/* span.c: slots of spans, without caches. Owner only. */

/* Takes up to `want` free slots of a class into out[0 ...], rising addresses first; returns how
 * many. Fewer than wanted, or 0, when memory is short. */
unsigned tn_span_take(struct terrane_heap *heap, unsigned class, void **out, unsigned want);
/* Gives one slot of this heap's own back. A slot that is free already is a crime. */
void tn_span_give(struct terrane_heap *heap, const struct tn_slot *at, const void *pointer);
/* Gives back as many of `pointers`, of which `at` is the first, as lie in its span, one after the
 * other; returns how many. */
unsigned tn_span_give_run(struct terrane_heap *heap, const struct tn_slot *at,
                          void *const *pointers, unsigned count);
/* Gives spans and blocks that hold nothing back. */
void tn_span_trim(struct terrane_heap *heap);

/* remote.c */
void tn_remote_give(struct terrane_space *space, void *const *pointers, unsigned count);
void tn_remote_collect(struct terrane_heap *heap);

/* large.c */
void *tn_large_alloc(struct terrane_heap *heap, size_t size, size_t align, bool zeroed);
/* The same with an inaccessible page behind the object's last one. */
void *tn_large_alloc_guarded(struct terrane_heap *heap, size_t size, size_t align, bool zeroed);
void tn_large_free(struct terrane_space *space, void *pointer);
void *tn_large_resize(struct terrane_heap *heap, void *pointer, size_t size);
int tn_large_resize_in_place(struct terrane_space *space, void *pointer, size_t size);
int tn_large_move(struct terrane_heap *heap, void **pointer);
/* The descriptor of a large object that starts at `pointer`; NULL if none does. */
struct tn_block *tn_large_at(const struct terrane_space *space, const void *pointer);

static inline size_t tn_large_usable(const struct tn_block *descriptor)
{
    return descriptor->bytes - descriptor->offset - descriptor->tail;
}

/* Not guarded: it may be resized and moved. */
static inline bool tn_large_plain(const struct tn_block *descriptor)
{
    return descriptor->offset == 0 && descriptor->tail == 0;
}

/* hardened.c */
int tn_hardened_init(struct terrane_heap *heap);
void tn_hardened_deinit(struct terrane_heap *heap);
void *tn_hardened_alloc(struct terrane_heap *heap, size_t size, size_t align);
/* More than a slot holds, or aligned to more. */
void *tn_hardened_alloc_large(struct terrane_heap *heap, size_t size, size_t align, bool zeroed);
void tn_hardened_free(struct terrane_heap *heap, void *pointer);
/* A small object, freed by a thread that does not own its hardened heap. */
void tn_hardened_free_remote(struct terrane_space *space, const struct tn_slot *at, void *pointer);
/* Frees what is in quarantine. */
void tn_hardened_drain(struct terrane_heap *heap);
/* Bytes of a slot that hold the canary. */
#define TN_CANARY_BYTES 8

/* walk.c: audits the heap, at intervals that grow with it, in audit builds (tn_audit). */
void tn_heap_audit_step(struct terrane_heap *heap);

/* cache.c */
void tn_cache_init(struct terrane_heap *heap);
void tn_cache_flush(struct terrane_heap *heap);

/* crime.c */
_Noreturn void tn_crime_invalid(const struct terrane_space *space, const void *pointer);
_Noreturn void tn_crime_double(const void *pointer);

/* The class for an alignment above TN_OBJECT_ALIGN; TN_CLASS_NONE: it takes a run. */
unsigned tn_class_aligned(size_t align, size_t size);

/* heap.c */
struct terrane_heap *tn_heap_by_id(const struct terrane_space *space, uint32_t id);

#endif
