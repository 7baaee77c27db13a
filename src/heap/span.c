/* Spans: taking and giving slots of size classes, without any search; see layout.h.
 *
 * For each class the heap keeps a list of the spans that have room; the newest one serves. A class
 * without room takes a fresh span: from a block whose longest run of free minipages is known to be
 * long enough, and no longer than need be (blocks are kept in a list for each length), else from a
 * new block. So the work is bounded by constants: bits of a word, words of a span, lists of blocks.
 *
 * Spans start short and grow with the class: the first ones of a class are as short as its slots
 * allow, so that a small program touches little; once a class has many spans the next ones are
 * longer, so that a busy class comes here rarely. */
#include "heap/layout.h"

#include <string.h>

/* A class with n spans takes the next one 1 + n / SPANS_PER_STEP times as long as its shortest. */
#define SPANS_PER_STEP 4

/* A block without spans is kept for the next one that needs it. */
#define EMPTY_KEPT 1

static struct tn_span *span_of(const struct terrane_heap *heap, uint32_t id)
{
    return &tn_block_at(heap->space, id / TN_MINIPAGES)->spans[id % TN_MINIPAGES];
}

/* ---- lists ---- */

static void open_push(struct terrane_heap *heap, uint32_t id)
{
    struct tn_span *span = span_of(heap, id);
    span->prev = TN_NONE;
    span->next = heap->open[span->class];
    if (span->next != TN_NONE)
        span_of(heap, span->next)->prev = id;
    heap->open[span->class] = id;
}

static void open_remove(struct terrane_heap *heap, uint32_t id)
{
    const struct tn_span *span = span_of(heap, id);
    if (span->prev != TN_NONE)
        span_of(heap, span->prev)->next = span->next;
    else
        heap->open[span->class] = span->next;
    if (span->next != TN_NONE)
        span_of(heap, span->next)->prev = span->prev;
}

static void roomy_remove(struct terrane_heap *heap, const struct tn_block *descriptor)
{
    if (descriptor->roomy == TN_ROOMY_NONE)
        return;
    if (descriptor->prev != TN_NONE)
        tn_block_at(heap->space, descriptor->prev)->next = descriptor->next;
    else
        heap->roomy[descriptor->roomy] = descriptor->next;
    if (heap->roomy[descriptor->roomy] == TN_NONE)
        heap->roomy_lists &= ~((uint32_t)1 << (descriptor->roomy - 1));
    if (descriptor->next != TN_NONE)
        tn_block_at(heap->space, descriptor->next)->prev = descriptor->prev;
}

/* Puts a block into the list that its longest run of free minipages calls for (I4). */
static void roomy_update(struct terrane_heap *heap, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    const unsigned list = tn_longest_run32(descriptor->free_map);
    if (list == descriptor->roomy)
        return;
    roomy_remove(heap, descriptor);
    descriptor->roomy = (uint8_t)list;
    if (list == TN_ROOMY_NONE)
        return;
    descriptor->prev = TN_NONE;
    descriptor->next = heap->roomy[list];
    if (descriptor->next != TN_NONE)
        tn_block_at(heap->space, descriptor->next)->prev = block;
    heap->roomy[list] = block;
    heap->roomy_lists |= (uint32_t)1 << (list - 1);
}

static void blocks_link(struct terrane_heap *heap, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    descriptor->all_prev = TN_NONE;
    descriptor->all_next = heap->small_blocks;
    if (descriptor->all_next != TN_NONE)
        tn_block_at(heap->space, descriptor->all_next)->all_prev = block;
    heap->small_blocks = block;
    heap->small_count++;
}

static void blocks_unlink(struct terrane_heap *heap, const struct tn_block *descriptor)
{
    if (descriptor->all_prev != TN_NONE)
        tn_block_at(heap->space, descriptor->all_prev)->all_next = descriptor->all_next;
    else
        heap->small_blocks = descriptor->all_next;
    if (descriptor->all_next != TN_NONE)
        tn_block_at(heap->space, descriptor->all_next)->all_prev = descriptor->all_prev;
    heap->small_count--;
}

/* ---- blocks ---- */

static bool block_acquire(struct terrane_heap *heap, uint32_t *block)
{
    struct terrane_space *space = heap->space;
    struct tn_run run;
    const int error = tn_pool_acquire(space, &(struct tn_wish){.bytes = TN_BLOCK_BYTES}, &run);
    if (error != 0) {
        (void)tn_pool_refused(space, error);
        return false;
    }
    struct tn_block *descriptor = tn_block_at(space, run.block);
    atomic_store_explicit(&descriptor->heap, heap->id, memory_order_relaxed);
    descriptor->free_map = UINT32_MAX;
    descriptor->use = TN_USE_SMALL;
    descriptor->kind = (uint8_t)heap->kind;
    descriptor->roomy = TN_ROOMY_NONE;
    blocks_link(heap, run.block);
    heap->empty_count++;
    roomy_update(heap, run.block);
    tn_count(space, TN_COUNT_SMALL_BYTES, TN_BLOCK_BYTES);
    *block = run.block;
    return true;
}

static void block_release(struct terrane_heap *heap, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    roomy_remove(heap, descriptor);
    blocks_unlink(heap, descriptor);
    heap->empty_count--;
    descriptor->use = TN_USE_NONE;
    tn_uncount(heap->space, TN_COUNT_SMALL_BYTES, TN_BLOCK_BYTES);
    tn_pool_release(heap->space, block, 0, TN_BLOCK_BYTES);
}

/* ---- spans ---- */

/* Bit m set: a span of `length` of this class may start at minipage m. */
static uint32_t span_places(uint32_t free_map, unsigned length, unsigned align)
{
    static const uint32_t aligned[] = {UINT32_MAX, 0x55555555, 0x11111111, 0x01010101, 0x00010001};
    return tn_run_starts32(free_map, length) & aligned[tn_lowest_bit(align)];
}

/* Where in a block a span goes: where it leaves no minipage free beside it, else at the start of a
 * run, so that long runs stay long. */
static unsigned snug_place(uint32_t places, uint32_t free_map, unsigned length)
{
    const uint32_t at_start = places & ~(free_map << 1);
    const uint32_t snug = at_start & ~(uint32_t)((uint64_t)free_map >> length);
    return tn_lowest_bit(snug != 0 ? snug : at_start != 0 ? at_start : places);
}

/* A block of this heap with room for the span, and where: the newest block whose longest run is the
 * shortest that will do. Spans that must be aligned may need a longer one. */
static bool find_room(const struct terrane_heap *heap, unsigned class, unsigned length,
                      uint32_t *block, unsigned *start)
{
    uint32_t lists = heap->roomy_lists & ~tn_mask32(length - 1);
    for (; lists != 0; lists &= lists - 1) {
        const uint32_t candidate = heap->roomy[tn_lowest_bit(lists) + 1];
        const uint32_t free_map = tn_block_at(heap->space, candidate)->free_map;
        const uint32_t places = span_places(free_map, length, tn_classes[class].align);
        if (places == 0)
            continue;
        *block = candidate;
        *start = snug_place(places, free_map, length);
        return true;
    }
    return false;
}

/* Length of the next span of a class: a multiple of its shortest, longer the more there are. */
static unsigned next_length(const struct terrane_heap *heap, unsigned class)
{
    const unsigned shortest = tn_classes[class].span;
    const unsigned most = TN_MINIPAGES / shortest;
    const unsigned times = 1 + heap->span_counts[class] / SPANS_PER_STEP;
    return shortest * (times < most ? times : most);
}

static void set_all_free(struct tn_block *descriptor, unsigned start, unsigned slots)
{
    uint64_t *words = &descriptor->bits[2 * (size_t)start];
    for (; slots >= 64; slots -= 64)
        *words++ = UINT64_MAX;
    if (slots > 0)
        *words = tn_mask64(slots);
}

static void span_create(struct terrane_heap *heap, uint32_t block, unsigned start, unsigned class,
                        unsigned length)
{
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    struct tn_span *span = &descriptor->spans[start];
    const unsigned slots = (unsigned)(length * TN_MINIPAGE_BYTES / tn_classes[class].size);
    if (descriptor->free_map == UINT32_MAX)
        heap->empty_count--;
    descriptor->free_map &= ~(tn_mask32(length) << start);
    *span = (struct tn_span){
        .free_count = (uint16_t)slots,
        .slot_count = (uint16_t)slots,
        .class = (uint8_t) class,
        .length = (uint8_t)length,
    };
    uint16_t *codes = &tn_mini(heap->space)[block * TN_MINIPAGES + start];
    for (unsigned i = 0; i < length; i++)
        codes[i] = TN_MINI_CODE(class, i);
    set_all_free(descriptor, start, slots);
    heap->span_counts[class]++;
    open_push(heap, block * TN_MINIPAGES + start);
    roomy_update(heap, block);
}

static void span_destroy(struct terrane_heap *heap, uint32_t id)
{
    const uint32_t block = id / TN_MINIPAGES;
    const unsigned start = id % TN_MINIPAGES;
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    const struct tn_span *span = &descriptor->spans[start];
    open_remove(heap, id);
    heap->span_counts[span->class]--;
    memset(&tn_mini(heap->space)[id], 0, span->length * sizeof(uint16_t));
    memset(&descriptor->bits[2 * (size_t)start], 0, (size_t)2 * span->length * sizeof(uint64_t));
    descriptor->free_map |= tn_mask32(span->length) << start;
    roomy_update(heap, block);
    if (descriptor->free_map == UINT32_MAX && ++heap->empty_count > EMPTY_KEPT)
        block_release(heap, block);
}

/* Opens a fresh span: as long as the class deserves, or as short as it can be where that saves a
 * new block. */
static bool span_fresh(struct terrane_heap *heap, unsigned class)
{
    const unsigned length = next_length(heap, class);
    const unsigned shortest = tn_classes[class].span;
    uint32_t block;
    unsigned start;
    if (find_room(heap, class, length, &block, &start)) {
        span_create(heap, block, start, class, length);
    } else if (length > shortest && find_room(heap, class, shortest, &block, &start)) {
        span_create(heap, block, start, class, shortest);
    } else if (block_acquire(heap, &block)) {
        span_create(heap, block, 0, class, length);
    } else {
        return false;
    }
    return true;
}

/* Whether this refill should take a fresh span although a partly used one is open (fresh_ratio). */
static bool wants_fresh(struct terrane_heap *heap)
{
    if (TN_LIKELY(heap->fresh_ratio == 0))
        return false;
    heap->fresh_debt += heap->fresh_ratio;
    if (heap->fresh_debt < 100)
        return false;
    heap->fresh_debt -= 100;
    return true;
}

/* Takes up to `want` slots of one span, lowest first. */
static unsigned take_bits(struct terrane_heap *heap, uint32_t id, void **out, unsigned want)
{
    struct tn_block *descriptor = tn_block_at(heap->space, id / TN_MINIPAGES);
    struct tn_span *span = &descriptor->spans[id % TN_MINIPAGES];
    uint64_t *words = &descriptor->bits[2 * (size_t)(id % TN_MINIPAGES)];
    const size_t size = tn_classes[span->class].size;
    char *const base = tn_slot_addr(heap->space, id / TN_MINIPAGES, id % TN_MINIPAGES, 0, 0);
    const unsigned count = want < span->free_count ? want : span->free_count;
    unsigned word = span->hint;
    for (unsigned taken = 0; taken < count; word++) {
        uint64_t bits = words[word];
        char *const at = base + (size_t)word * 64 * size;
        for (; bits != 0 && taken < count; bits &= bits - 1)
            out[taken++] = at + tn_lowest_bit(bits) * size;
        words[word] = bits;
        span->hint = (uint8_t)word;
    }
    span->free_count = (uint16_t)(span->free_count - count);
    return count;
}

unsigned tn_span_take(struct terrane_heap *heap, unsigned class, void **out, unsigned want)
{
    unsigned taken = 0;
    if (wants_fresh(heap))
        (void)span_fresh(heap, class); /* without memory the open spans serve */
    while (taken < want) {
        if (heap->open[class] == TN_NONE && (taken > 0 || !span_fresh(heap, class)))
            break;
        const uint32_t id = heap->open[class];
        taken += take_bits(heap, id, out + taken, want - taken);
        if (span_of(heap, id)->free_count == 0)
            open_remove(heap, id);
    }
    return taken;
}

/* Slots have been given back: the span has `before` free ones no more. */
static void note_given(struct terrane_heap *heap, const struct tn_slot *at, unsigned before)
{
    const struct tn_span *span = at->span;
    const uint32_t id = at->block * TN_MINIPAGES + at->start;
    if (before == 0)
        open_push(heap, id);
    /* The last open span of a class stays: the next allocation would take it again at once. */
    if (span->free_count == span->slot_count &&
        (heap->open[span->class] != id || span->next != TN_NONE))
        span_destroy(heap, id);
}

void tn_span_give(struct terrane_heap *heap, const struct tn_slot *at, const void *pointer)
{
    void *const one = (void *)(uintptr_t)pointer;
    (void)tn_span_give_run(heap, at, &one, 1);
}

unsigned tn_span_give_run(struct terrane_heap *heap, const struct tn_slot *at,
                          void *const *pointers, unsigned count)
{
    struct tn_span *span = at->span;
    uint64_t *const words = &at->descriptor->bits[2 * (size_t)at->start];
    const char *base = tn_slot_addr(heap->space, at->block, at->start, 0, 0);
    const size_t bytes = (size_t)span->length << TN_MINIPAGE_SHIFT;
    const uint32_t magic = tn_classes[span->class].magic;
    unsigned word = span->hint, lowest = word, given = 0;
    uint64_t bits = words[word]; /* of neighbours that are freed together, gathered in a register */
    do {
        const size_t in = (size_t)((const char *)pointers[given] - base);
        if (in >= bytes)
            break;
        const unsigned slot = tn_slot_of((uint32_t)in, magic);
        const uint64_t bit = (uint64_t)1 << (slot % 64);
        if (TN_UNLIKELY(slot >= span->slot_count || !tn_is_slot_start((uint32_t)in, magic)))
            tn_crime_invalid(heap->space, pointers[given]);
        if (slot / 64 != word) {
            words[word] = bits;
            word = slot / 64;
            bits = words[word];
            lowest = word < lowest ? word : lowest;
        }
        if (TN_UNLIKELY((bits & bit) != 0))
            tn_crime_double(pointers[given]);
        bits |= bit;
    } while (++given < count);
    words[word] = bits;
    const unsigned before = span->free_count;
    span->hint = (uint8_t)lowest;
    span->free_count = (uint16_t)(before + given);
    note_given(heap, at, before);
    return given;
}

void tn_span_trim(struct terrane_heap *heap)
{
    for (unsigned class = 1; class < TN_CLASSES; class ++) {
        const uint32_t id = heap->open[class];
        if (id != TN_NONE && span_of(heap, id)->free_count == span_of(heap, id)->slot_count)
            span_destroy(heap, id);
    }
    const uint32_t block = heap->roomy[TN_ROOMY_LISTS - 1];
    if (block != TN_NONE)
        block_release(heap, block);
}
