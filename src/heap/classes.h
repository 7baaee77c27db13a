/* Size classes: which slot sizes there are, and how a size and an offset find theirs.
 *
 * Steps of 16 bytes up to 128, then four a doubling up to half a block: at most a fifth of a slot
 * is lost to rounding. One class more, 4 608, serves pages with a header, which many programs keep.
 * Finer steps were tried: what they save in slots, partly used spans of many classes cost twice.
 *
 * Class 0 is no class: large objects and foreign memory have it, so that the fast path of free
 * needs no test of its own for them.
 *
 * Dividing an offset by a slot size is a multiplication by magic = ceil(2^32 / size): the high half
 * of the product is the quotient, and the low half is below magic exactly if the division leaves no
 * rest. Exact for offsets below 2^16. (Lemire, Kaser, Kurz, "Faster remainder by direct
 * computation", 2019.) */
#ifndef TN_CLASSES_H
#define TN_CLASSES_H

#include "base/base.h"

#include <stdint.h>

#define TN_CLASSES      42
#define TN_CLASS_NONE   0
#define TN_SMALL_MAX    ((size_t)32768) /* half a block */
#define TN_TABLE_MAX    ((size_t)1024)  /* sizes up to here find their class in a table */
#define TN_OBJECT_ALIGN ((size_t)16)

struct tn_class {
    uint32_t size;   /* of a slot */
    uint32_t magic;  /* ceil(2^32 / size) */
    uint8_t span;    /* minipages of its shortest span */
    uint8_t align;   /* a span starts at a multiple of this many minipages */
    uint16_t cached; /* most slots that a heap's cache holds */
};

extern const struct tn_class tn_classes[TN_CLASSES];

/* 32 times the class of a size, which is the offset in bytes of the class's cache among a heap's:
 * by (size + 15) / 16 up to TN_TABLE_MAX, by (size + 127) / 128 up to TN_SMALL_MAX. */
extern const uint16_t tn_cache_table[TN_TABLE_MAX / 16 + 1];
extern const uint16_t tn_cache_table_wide[TN_SMALL_MAX / 128 + 1];

/* The offset of a size's cache; size 0 to TN_SMALL_MAX. */
static inline size_t tn_cache_offset(size_t size)
{
    return TN_LIKELY(size <= TN_TABLE_MAX) ? tn_cache_table[(size + 15) / 16]
                                           : tn_cache_table_wide[(size + 127) / 128];
}

/* Class of a size from 0 to TN_SMALL_MAX. */
static inline unsigned tn_class_of(size_t size)
{
    return (unsigned)tn_cache_offset(size) / 32;
}

/* Slot that an offset in a span lies in. */
static inline unsigned tn_slot_of(uint32_t offset, uint32_t magic)
{
    return (unsigned)((uint64_t)offset * magic >> 32);
}

/* Whether an offset in a span is the start of a slot. */
static inline bool tn_is_slot_start(uint32_t offset, uint32_t magic)
{
    return (uint32_t)(offset * magic) < magic;
}

#endif
