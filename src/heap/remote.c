/* Objects freed by threads that do not own their heap.
 *
 * The freeing thread sets the slot's bit in the block's remote words. Whoever turns a word from 0
 * sets the word's bit in the block's summary; whoever turns the summary from 0 puts the block on
 * its heap's remote list. The owner takes the whole list at once when it next runs short, so there
 * is no ABA. Nothing is written into the object. A bit that is set already is a double free.
 *
 * Why the block cannot vanish under a thread that is half-way: the owner empties a word only after
 * it has cleared the word's summary bit, so while the thread that turned a word from 0 has not set
 * that bit, nobody collects the word, its slots count as used, and a block with used slots stays.
 *
 * A heap without an owner has nobody to run short: the thread that puts a block on its list tries
 * to own it for a moment, collects, and leaves it again. */
#include "heap/layout.h"

/* Puts a block on its heap's list. */
static void list_push(struct terrane_heap *heap, struct terrane_space *space, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(space, block);
    uint32_t head = atomic_load_explicit(&heap->remote, memory_order_relaxed);
    do {
        descriptor->remote_next = head;
        /* release; pairs with the acquire in tn_remote_collect, which reads remote_next */
    } while (!atomic_compare_exchange_weak_explicit(&heap->remote, &head, block + 1,
                                                    memory_order_release, memory_order_relaxed));
}

/* An abandoned heap is collected on its behalf; one that is being adopted collects itself. */
static void collect_abandoned(struct terrane_heap *heap)
{
    uintptr_t nobody = 0;
    const uintptr_t me = tn_thread_mark();
    /* acquire; pairs with the release in tn_heap_leave and below */
    if (!atomic_compare_exchange_strong_explicit(&heap->owner, &nobody, me, memory_order_acquire,
                                                 memory_order_relaxed))
        return;
    tn_remote_collect(heap);
    tn_span_trim(heap);
    /* release; pairs with the acquire of the next owner */
    atomic_store_explicit(&heap->owner, 0, memory_order_release);
}

/* Hands slots of one word over. */
static void give_word(struct terrane_space *space, const struct tn_slot *at, uint64_t bits,
                      const void *pointer)
{
    _Atomic uint64_t *word = &tn_remote_bits(space, at->block)[at->word];
    /* release; pairs with the acquire exchange in collect_block: what we did to the objects
     * happened before they are handed out again */
    const uint64_t before = atomic_fetch_or_explicit(word, bits, memory_order_release);
    if (TN_UNLIKELY((before & bits) != 0))
        tn_crime_double(pointer);
    if (before != 0)
        return; /* whoever turned the word from 0 tells the owner */
    /* Read before the bit below: afterwards the owner may free the block. */
    struct terrane_heap *heap =
        tn_heap_by_id(space, atomic_load_explicit(&at->descriptor->heap, memory_order_relaxed));
    /* acq_rel; release pairs with the exchange in collect_block; acquire orders the push after the
     * last collection */
    if (atomic_fetch_or_explicit(&at->descriptor->remote_words, (uint64_t)1 << at->word,
                                 memory_order_acq_rel) == 0) {
        list_push(heap, space, at->block);
        if (atomic_load_explicit(&heap->owner, memory_order_relaxed) == 0)
            collect_abandoned(heap);
    }
}

void tn_remote_give(struct terrane_space *space, void *const *pointers, unsigned count)
{
    tn_count(space, TN_COUNT_REMOTE_FREES, count);
    struct tn_slot at = tn_slot_at(space, pointers[0]);
    uint64_t bits = at.bit;
    for (unsigned i = 1; i < count; i++) {
        const struct tn_slot next = tn_slot_at(space, pointers[i]);
        if (next.descriptor == at.descriptor && next.word == at.word) {
            if (TN_UNLIKELY((bits & next.bit) != 0))
                tn_crime_double(pointers[i]);
            bits |= next.bit;
            continue;
        }
        give_word(space, &at, bits, pointers[i - 1]);
        at = next;
        bits = at.bit;
    }
    give_word(space, &at, bits, pointers[count - 1]);
}

/* The slots of one remote word go back to their span. */
static void give_bits(struct terrane_heap *heap, uint32_t block, unsigned word, uint64_t bits)
{
    const uint16_t *codes = &tn_mini(heap->space)[(size_t)block * TN_MINIPAGES];
    const unsigned start = word / 2 - TN_MINI_DISTANCE(codes[word / 2]);
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    struct tn_span *span = &descriptor->spans[start];
    const unsigned class = span->class;
    for (; bits != 0; bits &= bits - 1) {
        const unsigned bit = tn_lowest_bit(bits);
        const unsigned slot = (word - 2 * start) * 64 + bit;
        const struct tn_slot at = {
            .block = block,
            .start = start,
            .slot = slot,
            .word = word,
            .bit = (uint64_t)1 << bit,
            .exact = true,
            .descriptor = descriptor,
            .span = span,
        };
        tn_span_give(heap, &at, tn_slot_addr(heap->space, block, start, slot, class));
    }
}

static void collect_block(struct terrane_heap *heap, uint32_t block)
{
    struct tn_block *descriptor = tn_block_at(heap->space, block);
    _Atomic uint64_t *remote = tn_remote_bits(heap->space, block);
    /* acq_rel; pairs with the fetch_or in give_word: bits set before it are seen below, later ones
     * find 0 and put the block on the list again */
    uint64_t words = atomic_exchange_explicit(&descriptor->remote_words, 0, memory_order_acq_rel);
    for (; words != 0; words &= words - 1) {
        const unsigned word = tn_lowest_bit(words);
        /* acquire; pairs with the release in give_word */
        const uint64_t bits = atomic_exchange_explicit(&remote[word], 0, memory_order_acquire);
        if (bits != 0)
            give_bits(heap, block, word, bits);
    }
}

void tn_remote_collect(struct terrane_heap *heap)
{
    if (TN_UNLIKELY(heap->space->foreign))
        return; /* what the parent freed is the parent's to use again */
    /* acquire; pairs with the release in list_push */
    uint32_t at = atomic_exchange_explicit(&heap->remote, 0, memory_order_acquire);
    while (at != 0) {
        const uint32_t block = at - 1;
        at = tn_block_at(heap->space, block)->remote_next;
        collect_block(heap, block);
    }
    tn_audit(tn_heap_audit_step(heap));
}
