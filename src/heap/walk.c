/* Walks over all live objects of a heap, and the audit of everything that layout.h says. */
#include "heap/layout.h"

#include <errno.h>

/* ---- walk ---- */

struct walk {
    terrane_heap_visitor *visit;
    void *context;
    size_t canary;
};

/* A slot that is used: neither free nor freed by another thread but not yet collected. */
static bool slot_live(const struct terrane_space *space, uint32_t block, unsigned word,
                      unsigned bit)
{
    const struct tn_block *descriptor = tn_block_at(space, block);
    const _Atomic uint64_t *remote = tn_remote_bits(space, block);
    const uint64_t gone = descriptor->bits[word] |
                          atomic_load_explicit(&remote[word], memory_order_relaxed) |
                          tn_held_bits(space, block)[word];
    return (gone >> bit & 1) == 0;
}

static int walk_span(const struct terrane_space *space, uint32_t block, unsigned start,
                     const struct walk *walk)
{
    const struct tn_span *span = &tn_block_at(space, block)->spans[start];
    for (unsigned slot = 0; slot < span->slot_count; slot++) {
        if (!slot_live(space, block, 2 * start + slot / 64, slot % 64))
            continue;
        const int result = walk->visit(tn_slot_addr(space, block, start, slot, span->class),
                                       tn_classes[span->class].size - walk->canary, walk->context);
        if (result != 0)
            return result;
    }
    return 0;
}

static int walk_block(const struct terrane_space *space, uint32_t block, const struct walk *walk)
{
    const struct tn_block *descriptor = tn_block_at(space, block);
    for (unsigned start = 0; start < TN_MINIPAGES;) {
        if ((descriptor->free_map >> start & 1) != 0) {
            start++;
            continue;
        }
        const int result = walk_span(space, block, start, walk);
        if (result != 0)
            return result;
        start += descriptor->spans[start].length;
    }
    return 0;
}

int terrane_heap_walk(struct terrane_heap *heap, terrane_heap_visitor *visit, void *context)
{
    const struct terrane_space *space = heap->space;
    const struct walk walk = {visit, context, heap->hardened ? TN_CANARY_BYTES : 0};
    tn_cache_flush(heap); /* cached slots are free for the caller */
    for (uint32_t block = heap->small_blocks; block != TN_NONE;
         block = tn_block_at(space, block)->all_next) {
        const int result = walk_block(space, block, &walk);
        if (result != 0)
            return result;
    }
    for (uint32_t block = heap->large; block != TN_NONE;) {
        const struct tn_block *descriptor = tn_block_at(space, block);
        const uint32_t next = descriptor->all_next;
        const int result = visit(tn_block_addr(space, block) + descriptor->offset,
                                 tn_large_usable(descriptor), context);
        if (result != 0)
            return result;
        block = next;
    }
    return 0;
}

/* ---- audit ---- */

static void audit_span(const struct terrane_space *space, uint32_t block, unsigned start)
{
    const struct tn_block *descriptor = tn_block_at(space, block);
    const struct tn_span *span = &descriptor->spans[start];
    tn_check(span->class > 0 && span->class < TN_CLASSES);
    const struct tn_class *class = &tn_classes[span->class];
    tn_check(span->length > 0 && start + span->length <= TN_MINIPAGES);
    tn_check(span->length % class->span == 0u && start % class->align == 0u);
    tn_check(span->slot_count == span->length * TN_MINIPAGE_BYTES / class->size);
    unsigned free_bits = 0;
    for (unsigned word = 0; word < 2u * span->length; word++) {
        const uint64_t bits = descriptor->bits[2 * start + word];
        const unsigned first = word * 64;
        const unsigned valid = span->slot_count > first ? span->slot_count - first : 0;
        tn_check((bits & ~tn_mask64(valid)) == 0); /* I2 */
        tn_check(bits == 0 || word >= span->hint);
        free_bits += (unsigned)__builtin_popcountll(bits);
    }
    tn_check(free_bits == span->free_count); /* I2 */
    const uint16_t *codes = &tn_mini(space)[(size_t)block * TN_MINIPAGES + start];
    for (unsigned i = 0; i < span->length; i++)
        tn_check(codes[i] == TN_MINI_CODE((unsigned)span->class, i)); /* I1 */
}

/* Checks one block and counts its spans and their open ones by class. */
static void audit_block(const struct terrane_heap *heap, uint32_t block, uint32_t *spans,
                        uint32_t *open)
{
    const struct terrane_space *space = heap->space;
    const struct tn_block *descriptor = tn_block_at(space, block);
    tn_check(descriptor->use == TN_USE_SMALL && descriptor->kind == heap->kind);
    tn_check(atomic_load_explicit(&descriptor->heap, memory_order_relaxed) == heap->id);
    tn_check(tn_buddy_order(&space->buddy, block) == 0);
    const unsigned run = tn_longest_run32(descriptor->free_map);
    tn_check(descriptor->roomy == run); /* I4 */
    for (unsigned start = 0; start < TN_MINIPAGES;) {
        if ((descriptor->free_map >> start & 1) != 0) {
            tn_check(tn_mini(space)[(size_t)block * TN_MINIPAGES + start] == 0); /* I1 */
            start++;
            continue;
        }
        const struct tn_span *span = &descriptor->spans[start];
        audit_span(space, block, start);
        spans[span->class]++;
        open[span->class] += span->free_count > 0;
        start += span->length;
    }
}

static void audit_small(const struct terrane_heap *heap)
{
    const struct terrane_space *space = heap->space;
    uint32_t spans[TN_CLASSES] = {0}, open[TN_CLASSES] = {0};
    uint32_t blocks = 0, empty = 0, prev = TN_NONE;
    for (uint32_t block = heap->small_blocks; block != TN_NONE;
         block = tn_block_at(space, block)->all_next) {
        audit_block(heap, block, spans, open);
        tn_check(tn_block_at(space, block)->all_prev == prev);
        prev = block;
        blocks++;
        empty += tn_block_at(space, block)->free_map == UINT32_MAX;
    }
    tn_check(blocks == heap->small_count && empty == heap->empty_count);
    for (unsigned class = 1; class < TN_CLASSES; class ++) {
        tn_check(spans[class] == heap->span_counts[class]);
        uint32_t listed = 0;
        for (uint32_t id = heap->open[class]; id != TN_NONE; listed++) {
            const struct tn_span *span =
                &tn_block_at(space, id / TN_MINIPAGES)->spans[id % TN_MINIPAGES];
            tn_check(span->class == class && span->free_count > 0); /* I3 */
            id = span->next;
        }
        tn_check(listed == open[class]); /* I3 */
    }
}

static void audit_roomy(const struct terrane_heap *heap)
{
    tn_check(heap->roomy[TN_ROOMY_NONE] == TN_NONE);
    for (unsigned list = 1; list < TN_ROOMY_LISTS; list++) {
        uint32_t prev = TN_NONE;
        tn_check((heap->roomy_lists >> (list - 1) & 1) == (heap->roomy[list] != TN_NONE)); /* I4 */
        for (uint32_t block = heap->roomy[list]; block != TN_NONE;) {
            const struct tn_block *descriptor = tn_block_at(heap->space, block);
            tn_check(descriptor->roomy == list && descriptor->prev == prev); /* I4 */
            prev = block;
            block = descriptor->next;
        }
    }
}

/* Any thread may be resizing the object: its run is larger before its descriptor says so. */
static bool run_fits(struct terrane_space *space, uint32_t block)
{
    tn_lock_acquire(&space->lock);
    const bool cut = (space->buddy.nodes[block].flags & TN_RUN_CUT) != 0;
    const int order = tn_buddy_order(&space->buddy, block);
    tn_lock_release(&space->lock);
    return cut || order >= tn_block_at(space, block)->order;
}

static void audit_large(struct terrane_heap *heap)
{
    const struct terrane_space *space = heap->space;
    tn_lock_acquire(&heap->large_lock);
    for (uint32_t block = heap->large; block != TN_NONE;
         block = tn_block_at(space, block)->all_next) {
        const struct tn_block *descriptor = tn_block_at(space, block);
        tn_check(descriptor->use == TN_USE_LARGE);
        tn_check(atomic_load_explicit(&descriptor->heap, memory_order_relaxed) == heap->id);
        tn_check(run_fits(heap->space, block));
        tn_check(descriptor->bytes <= tn_bytes_of_order(descriptor->order));
        tn_check(TN_MINI_CLASS(tn_mini(space)[(size_t)block * TN_MINIPAGES]) == TN_CLASS_NONE);
    }
    tn_lock_release(&heap->large_lock);
}

/* Every slot in a cache is used in its span, and lies in the cache of its class. */
static void audit_caches(const struct terrane_heap *heap)
{
    for (unsigned class = 0; class < TN_CLASSES; class ++) {
        const struct tn_cache *cache = &heap->caches[class];
        tn_check(cache->floor <= cache->top && cache->top <= cache->ceiling);
        for (void **slot = cache->floor; slot < cache->top; slot++) {
            const struct tn_slot at = tn_slot_at(heap->space, *slot);
            tn_check(at.exact && at.span->class == class);
        }
        for (unsigned i = 0; i < heap->strays[class]; i++) {
            const struct tn_slot at = tn_slot_at(heap->space, cache->floor[i]);
            tn_check(cache->ceiling == cache->floor && at.exact && at.span->class == class);
        }
    }
}

void terrane_heap_audit(struct terrane_heap *heap)
{
    audit_small(heap);
    audit_roomy(heap);
    audit_large(heap);
    audit_caches(heap);
    tn_lock_acquire(&heap->space->lock);
    tn_space_audit(heap->space);
    tn_lock_release(&heap->space->lock);
}

#ifdef TN_AUDIT
/* An audit walks the whole heap and the space's runs, so it runs once in so many steps as there are
 * blocks and large objects: the work stays a constant share of all work. */
void tn_heap_audit_step(struct terrane_heap *heap)
{
    const uint64_t large = tn_counted(heap->space, TN_COUNT_LARGE_ALLOCS) -
                           tn_counted(heap->space, TN_COUNT_LARGE_FREES);
    if (++heap->audit_steps < 8 + heap->small_count + large)
        return;
    heap->audit_steps = 0;
    terrane_heap_audit(heap);
}
#endif
