/* The profiler's tables.
 *
 * Sites lie in chunks that are never given back (a program has few distinct stacks) and hang on a
 * fixed array of chains. Live samples are an open-addressed table with linear probing that doubles
 * at three quarters; removal shifts later entries back, so there are no tombstones and a program
 * that allocates and frees for days keeps a small table. All memory comes straight from the kernel:
 * a profiler that called malloc would profile itself. */
#include "profile_table.h"

#include "os/os.h"
#include "stats/stats.h"

#include <string.h>

#define CHAIN_COUNT    ((size_t)4096)
#define CHUNK_BYTES    ((size_t)256 * 1024)
#define CHUNKS_MAX     256u /* 64 MiB of stacks */
#define LIVE_SLOTS_MIN ((size_t)4096)
#define LIVE_SLOTS_MAX ((size_t)4 * 1024 * 1024)

struct live {
    const void *object; /* NULL: empty */
    struct tn_profile_site *site;
    size_t size;
};

static struct tn_profile_site *chains[CHAIN_COUNT];
static struct tn_profile_site *first_site;
static struct tn_profile_site *last_site;
static char *chunk_at;
static size_t chunk_left;
static unsigned chunks;

static struct live *slots;
static size_t slots_count; /* a power of two */
static size_t live_count;

/* ---- sites ---- */

static void *site_memory(size_t size)
{
    if (size > chunk_left) {
        void *chunk;
        if (chunks == CHUNKS_MAX || tn_os_allocate(CHUNK_BYTES, &chunk) != 0)
            return NULL;
        chunks++;
        chunk_at = chunk;
        chunk_left = CHUNK_BYTES;
    }
    void *memory = chunk_at;
    chunk_at += size;
    chunk_left -= size;
    return memory;
}

/* FNV-1a over the addresses, taken as words. */
static size_t stack_hash(void *const *frames, uint32_t depth, uint32_t size_class)
{
    uint64_t hash = UINT64_C(14695981039346656037) ^ size_class;
    for (uint32_t i = 0; i < depth; i++)
        hash = (hash ^ (uintptr_t)frames[i]) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

static struct tn_profile_site *site_create(void *const *frames, uint32_t depth, uint32_t size_class)
{
    const size_t frames_bytes = depth * sizeof(frames[0]);
    struct tn_profile_site *site = site_memory(sizeof(*site) + frames_bytes);
    if (site == NULL)
        return NULL;
    site->size_class = size_class;
    site->depth = depth;
    memcpy(site->frames, frames, frames_bytes);
    if (last_site == NULL)
        first_site = site;
    else
        last_site->newer = site;
    last_site = site;
    return site;
}

struct tn_profile_site *tn_profile_site_get(void *const *frames, uint32_t depth, size_t size)
{
    tn_assert(depth <= TN_PROFILE_DEPTH);
    const uint32_t size_class = tn_report_class(size);
    struct tn_profile_site **chain = &chains[stack_hash(frames, depth, size_class) % CHAIN_COUNT];
    for (struct tn_profile_site *site = *chain; site != NULL; site = site->next) {
        if (site->depth == depth && site->size_class == size_class &&
            memcmp(site->frames, frames, depth * sizeof(frames[0])) == 0)
            return site;
    }
    struct tn_profile_site *site = site_create(frames, depth, size_class);
    if (site != NULL) {
        site->next = *chain;
        *chain = site;
    }
    return site;
}

const struct tn_profile_site *tn_profile_site_first(void)
{
    return first_site;
}

/* ---- live samples ---- */

/* Where an object belongs if nothing is in the way. Objects are aligned to 16 at least. */
static size_t home(const void *object)
{
    const uint64_t mixed = ((uintptr_t)object >> 4) * UINT64_C(0x9e3779b97f4a7c15);
    return (size_t)(mixed >> 32) & (slots_count - 1);
}

/* The object's slot, or the empty one where it would go. The table is never full. */
static size_t slot_find(const void *object)
{
    size_t i = home(object);
    while (slots[i].object != NULL && slots[i].object != object)
        i = (i + 1) & (slots_count - 1);
    return i;
}

static bool slots_resize(size_t count)
{
    void *memory;
    if (count > LIVE_SLOTS_MAX || tn_os_allocate(count * sizeof(struct live), &memory) != 0)
        return false;
    struct live *old = slots;
    const size_t old_count = slots_count;
    slots = memory;
    slots_count = count;
    for (size_t i = 0; i < old_count; i++) {
        if (old[i].object != NULL)
            slots[slot_find(old[i].object)] = old[i];
    }
    if (old != NULL)
        (void)tn_os_release(old, old_count * sizeof(struct live));
    return true;
}

bool tn_profile_table_init(void)
{
    return slots_resize(LIVE_SLOTS_MIN);
}

bool tn_profile_live_insert(const void *object, size_t size, struct tn_profile_site *site)
{
    if (live_count >= slots_count / 4 * 3 && !slots_resize(2 * slots_count))
        return false;
    /* The same address twice: it was freed unseen, by a fork's other side or a raw system call. */
    (void)tn_profile_live_remove(object);
    slots[slot_find(object)] = (struct live){object, site, size};
    live_count++;
    site->live_count++;
    site->live_bytes += size;
    site->ever_count++;
    site->ever_bytes += size;
    return true;
}

/* Closes the gap at `i`: moves back every later entry of the cluster that may lie there. */
static void gap_close(size_t i)
{
    const size_t mask = slots_count - 1;
    for (size_t j = (i + 1) & mask; slots[j].object != NULL; j = (j + 1) & mask) {
        const size_t from_home = (j - home(slots[j].object)) & mask;
        if (from_home >= ((j - i) & mask)) {
            slots[i] = slots[j];
            i = j;
        }
    }
    slots[i].object = NULL;
}

bool tn_profile_live_remove(const void *object)
{
    const size_t i = slot_find(object);
    if (slots[i].object == NULL)
        return false;
    struct tn_profile_site *site = slots[i].site;
    site->live_count--;
    site->live_bytes -= slots[i].size;
    live_count--;
    gap_close(i);
    return true;
}
