/* Hardened heaps: every call is checked, at the cost of time and some memory.
 *
 *   double free        the slot's bit is free, held in quarantine, or freed remotely already
 *   write past the end eight bytes at the end of each slot hold a canary, checked at free
 *   write after free   freed slots are filled with a pattern and wait in quarantine; the pattern is
 *                      checked when they leave it
 *   read after free    the fill; what it held is gone
 *   guessing           a new object takes a random one of several free slots
 *   large objects      an inaccessible page behind each as long as mappings are left, and never
 *                      reused warm (their run is retired)
 *
 * The canary lies in the slack of the user's own slot and holds no metadata: losing it costs
 * nothing but the check. Objects freed by a thread that does not own their heap skip the
 * quarantine. */
#include "heap/layout.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

#define QUARANTINE_MAX 256
#define FILL_BYTE      0xdf
#define CHOICES        8 /* free slots among which a new object is drawn */

struct tn_quarantine {
    unsigned head; /* oldest */
    unsigned count;
    void *ring[QUARANTINE_MAX];
};

/* The process's secret, so that any thread can check any heap's canaries. 0 until drawn; relaxed:
 * the first one to be stored is everybody's, and whoever gets a pointer got it after that. */
static _Atomic uint64_t secret;

static void draw_secret(void)
{
    uint64_t none = 0, drawn;
    tn_os_random(&drawn, sizeof(drawn));
    atomic_compare_exchange_strong_explicit(&secret, &none, drawn | 1, memory_order_relaxed,
                                            memory_order_relaxed);
}

static size_t quarantine_bytes(void)
{
    return tn_round_up(sizeof(struct tn_quarantine), tn_os_page_bytes());
}

int tn_hardened_init(struct terrane_heap *heap)
{
    void *memory;
    const int error = tn_os_allocate(quarantine_bytes(), &memory);
    if (error != 0)
        return error;
    heap->quarantine = memory;
    draw_secret();
    tn_os_random(&heap->random_state, sizeof(heap->random_state));
    heap->random_state |= 1;
    return 0;
}

void tn_hardened_deinit(struct terrane_heap *heap)
{
    if (heap->quarantine != NULL)
        (void)tn_os_release(heap->quarantine, quarantine_bytes());
}

/* xorshift64 (Marsaglia 2003): quick, and unpredictable enough to spread slots. */
static uint64_t next_random(struct terrane_heap *heap)
{
    uint64_t x = heap->random_state;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return heap->random_state = x;
}

/* ---- canaries ---- */

static char *canary_place(const struct tn_slot *at, const void *pointer)
{
    return (char *)(uintptr_t)pointer + tn_classes[at->span->class].size - TN_CANARY_BYTES;
}

static uint64_t canary_of(const void *pointer)
{
    return atomic_load_explicit(&secret, memory_order_relaxed) ^ (uintptr_t)pointer;
}

static void canary_set(const struct terrane_heap *heap, void *pointer)
{
    const struct tn_slot at = tn_slot_at(heap->space, pointer);
    const uint64_t canary = canary_of(pointer);
    memcpy(canary_place(&at, pointer), &canary, sizeof(canary));
}

/* The fill in the canary's place tells a thread that cannot look at the slot's bits that the owner
 * has freed the object before. */
static void canary_check(const struct tn_slot *at, const void *pointer)
{
    const uint64_t canary = canary_of(pointer);
    const uint64_t fill = FILL_BYTE * UINT64_C(0x0101010101010101);
    const char *place = canary_place(at, pointer);
    if (memcmp(place, &fill, sizeof(fill)) == 0)
        tn_crime_double(pointer);
    if (memcmp(place, &canary, sizeof(canary)) != 0)
        tn_die("write past the end: pointer %p has %z usable bytes", pointer,
               (size_t)tn_classes[at->span->class].size - TN_CANARY_BYTES);
}

/* ---- allocation ---- */

static void *take_random(struct terrane_heap *heap, unsigned class)
{
    void *slots[CHOICES];
    const unsigned count = tn_span_take(heap, class, slots, CHOICES);
    if (count == 0)
        return NULL;
    const unsigned chosen = (unsigned)(next_random(heap) % count);
    void *pointer = slots[chosen];
    slots[chosen] = slots[0];
    for (unsigned i = 1; i < count; i++) {
        const struct tn_slot at = tn_slot_at(heap->space, slots[i]);
        tn_span_give(heap, &at, slots[i]);
    }
    return pointer;
}

/* Where guards cost mappings they may be used up: an object without one is better than none. */
void *tn_hardened_alloc_large(struct terrane_heap *heap, size_t size, size_t align, bool zeroed)
{
    void *guarded = tn_large_alloc_guarded(heap, size, align, zeroed);
    return guarded != NULL ? guarded : tn_large_alloc(heap, size, align, zeroed);
}

void *tn_hardened_alloc(struct terrane_heap *heap, size_t size, size_t align)
{
    size_t with_canary;
    if (!tn_size_add(size, TN_CANARY_BYTES, &with_canary))
        return NULL;
    if (atomic_load_explicit(&heap->remote, memory_order_relaxed) != 0)
        tn_remote_collect(heap);
    const unsigned class =
        align <= TN_OBJECT_ALIGN
            ? (with_canary <= TN_SMALL_MAX ? tn_class_of(with_canary) : TN_CLASS_NONE)
            : tn_class_aligned(align, with_canary);
    if (class == TN_CLASS_NONE)
        return tn_hardened_alloc_large(heap, size, align, false);
    void *pointer = take_random(heap, class);
    if (pointer != NULL)
        canary_set(heap, pointer);
    tn_audit(tn_heap_audit_step(heap));
    return pointer;
}

/* ---- quarantine ---- */

static void leave_quarantine(struct terrane_heap *heap)
{
    struct tn_quarantine *quarantine = heap->quarantine;
    unsigned char *pointer = quarantine->ring[quarantine->head];
    quarantine->head = (quarantine->head + 1) % QUARANTINE_MAX;
    quarantine->count--;
    const struct tn_slot at = tn_slot_at(heap->space, pointer);
    const size_t size = tn_classes[at.span->class].size;
    if (pointer[0] != FILL_BYTE || memcmp(pointer, pointer + 1, size - 1) != 0)
        tn_die("write after free: pointer %p was written to after it was freed", (void *)pointer);
    tn_held_bits(heap->space, at.block)[at.word] &= ~at.bit;
    tn_span_give(heap, &at, pointer);
}

static void enter_quarantine(struct terrane_heap *heap, const struct tn_slot *at, void *pointer)
{
    struct tn_quarantine *quarantine = heap->quarantine;
    if (quarantine->count == QUARANTINE_MAX)
        leave_quarantine(heap);
    memset(pointer, FILL_BYTE, tn_classes[at->span->class].size);
    tn_held_bits(heap->space, at->block)[at->word] |= at->bit;
    quarantine->ring[(quarantine->head + quarantine->count) % QUARANTINE_MAX] = pointer;
    quarantine->count++;
}

void tn_hardened_drain(struct terrane_heap *heap)
{
    if (heap->space->foreign)
        return; /* the parent looks after what it holds */
    while (heap->quarantine != NULL && heap->quarantine->count > 0)
        leave_quarantine(heap);
}

/* ---- free ---- */

/* Whether the slot is free, held or on its way back. The owner may ask about its own slots; of
 * other heaps only the remote bit can be read. */
static bool freed_before(const struct terrane_space *space, const struct tn_slot *at, bool own)
{
    const _Atomic uint64_t *remote = tn_remote_bits(space, at->block);
    /* relaxed: the caller has no claim on the slot if the bit is set, whenever that happened */
    if ((atomic_load_explicit(&remote[at->word], memory_order_relaxed) & at->bit) != 0)
        return true;
    return own && ((at->descriptor->bits[at->word] | tn_held_bits(space, at->block)[at->word]) &
                   at->bit) != 0;
}

/* Finds crimes at the free of an object of a hardened heap. */
static void check_freed(const struct terrane_space *space, const struct tn_slot *at,
                        const void *pointer, bool own)
{
    if (freed_before(space, at, own))
        tn_crime_double(pointer);
    canary_check(at, pointer);
}

void tn_hardened_free_remote(struct terrane_space *space, const struct tn_slot *at, void *pointer)
{
    check_freed(space, at, pointer, false);
    tn_remote_give(space, &pointer, 1);
}

void tn_hardened_free(struct terrane_heap *heap, void *pointer)
{
    const size_t minipage = tn_offset_of(heap->space, pointer) >> TN_MINIPAGE_SHIFT;
    if (TN_MINI_CLASS(heap->mini[minipage]) == TN_CLASS_NONE) {
        tn_large_free(heap->space, pointer);
        return;
    }
    const struct tn_slot at = tn_slot_at(heap->space, pointer);
    if (!at.exact)
        tn_crime_invalid(heap->space, pointer);
    const bool own = atomic_load_explicit(&at.descriptor->heap, memory_order_relaxed) == heap->id;
    if (!own) {
        tn_hardened_free_remote(heap->space, &at, pointer);
        return;
    }
    check_freed(heap->space, &at, pointer, true);
    enter_quarantine(heap, &at, pointer);
}
