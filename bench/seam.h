/* The seam of the benches of regions: whole pieces of memory, acquired, released and resized in one
 * of three ways, so that all contenders do the very same work.
 *
 *     seam=regions   terrane_region_*; of the default space, or backing=memfd or backing=scratch
 *                    with dir=FOLDER; cache=BYTES sets the size of the threads' caches
 *     seam=malloc    malloc, free, realloc: whatever is preloaded
 *     seam=mmap      mmap, munmap, mremap
 *
 * A piece is touched not at all, by one write a page, or in all bytes, and looked at before it goes
 * back. Calls go through pointers under every seam: two nanoseconds a pair, for all alike. */
#ifndef TERRANE_BENCH_SEAM_H
#define TERRANE_BENCH_SEAM_H

#include "worker.h"

#include <sys/mman.h>
#include <terrane/pool.h>

#define PAGE_BYTES ((size_t)4096)
#define MIB        ((size_t)1 << 20)

struct piece {
    struct terrane_region region; /* just data and size under the other seams */
    size_t bytes;                 /* as asked for */
};

struct seam {
    const char *name;
    bool (*acquire)(size_t bytes, struct piece *out);
    void (*release)(struct piece *piece);
    bool (*resize)(struct piece *piece, size_t bytes);
};

/* ---- regions ---- */

static struct terrane_space *seam_space; /* NULL: the default one */

/* Pieces are as large as was asked for; the region behind one may be larger. */
static inline bool regions_acquire(size_t bytes, struct piece *out)
{
    out->bytes = bytes;
    return terrane_region_acquire(seam_space, bytes, &out->region) == 0;
}

static inline void regions_release(struct piece *piece)
{
    terrane_region_release(&piece->region);
}

static inline bool regions_resize(struct piece *piece, size_t bytes)
{
    if (terrane_region_resize(&piece->region, bytes) != 0)
        return false;
    piece->bytes = bytes;
    return true;
}

static inline struct terrane_space *space_open(const char *backing, const char *dir)
{
    struct terrane_space_options options = {.backing = TERRANE_BACKING_PRIVATE};
    struct terrane_space *space = NULL;
    if (strcmp(backing, "private") == 0)
        return NULL;
    if (strcmp(backing, "memfd") == 0) {
        options.backing = TERRANE_BACKING_MEMFD;
    } else if (strcmp(backing, "scratch") == 0) {
        options.backing = TERRANE_BACKING_SCRATCH;
        options.scratch_dir = dir;
    } else {
        worker_fail("backing must be private, memfd or scratch, not '%s'", backing);
    }
    const int status = terrane_space_create(&options, &space);
    if (status != 0)
        worker_fail("no space of backing %s: %s", backing, strerror(-status));
    return space;
}

/* ---- malloc ---- */

static inline bool malloc_acquire(size_t bytes, struct piece *out)
{
    *out = (struct piece){{malloc(bytes), bytes}, bytes};
    return out->region.data != NULL;
}

static inline void malloc_release(struct piece *piece)
{
    free(piece->region.data);
}

static inline bool malloc_resize(struct piece *piece, size_t bytes)
{
    void *data = realloc(piece->region.data, bytes);
    if (data == NULL)
        return false;
    piece->region.data = data;
    piece->region.capacity = bytes;
    piece->bytes = bytes;
    return true;
}

/* ---- mmap ---- */

static inline bool mmap_acquire(size_t bytes, struct piece *out)
{
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *out = (struct piece){{data, bytes}, bytes};
    return data != MAP_FAILED;
}

static inline void mmap_release(struct piece *piece)
{
    munmap(piece->region.data, piece->bytes);
}

static inline bool mmap_resize(struct piece *piece, size_t bytes)
{
    void *data = mremap(piece->region.data, piece->bytes, bytes, MREMAP_MAYMOVE);
    if (data == MAP_FAILED)
        return false;
    *piece = (struct piece){{data, bytes}, bytes};
    return true;
}

/* ---- the choice ---- */

static inline const struct seam *seam_find(const char *name)
{
    static const struct seam seams[] = {
        {"regions", regions_acquire, regions_release, regions_resize},
        {"malloc", malloc_acquire, malloc_release, malloc_resize},
        {"mmap", mmap_acquire, mmap_release, mmap_resize},
    };
    for (size_t i = 0; i < sizeof(seams) / sizeof(seams[0]); i++) {
        if (strcmp(seams[i].name, name) == 0)
            return &seams[i];
    }
    worker_fail("seam must be regions, malloc or mmap, not '%s'", name);
}

/* Reads the arguments of the seam. Those of regions say nothing to the others, which have neither
 * spaces nor caches to set. */
static inline const struct seam *seam_open(struct worker *worker)
{
    const struct seam *seam = seam_find(worker_word(worker, "seam", "malloc"));
    const uint64_t cache = worker_number(worker, "cache", UINT64_MAX);
    const char *backing = worker_word(worker, "backing", "private");
    const char *dir = worker_word(worker, "dir", ".");
    if (seam->acquire != regions_acquire)
        return seam;
    seam_space = space_open(backing, dir);
    if (cache != UINT64_MAX)
        terrane_pool_set_cache(seam_space, cache);
    return seam;
}

static inline void seam_acquire(const struct seam *seam, size_t bytes, struct piece *out)
{
    if (!seam->acquire(bytes, out))
        worker_fail("%s: %zu bytes were refused", seam->name, bytes);
}

static inline void seam_resize(const struct seam *seam, struct piece *piece, size_t bytes)
{
    if (!seam->resize(piece, bytes))
        worker_fail("%s: no resize from %zu to %zu bytes", seam->name, piece->bytes, bytes);
}

/* ---- contents ---- */

enum touch { TOUCH_NONE, TOUCH_PAGE, TOUCH_BYTES };

static inline enum touch touch_read(struct worker *worker)
{
    const char *word = worker_word(worker, "touch", "none");
    if (strcmp(word, "page") == 0)
        return TOUCH_PAGE;
    if (strcmp(word, "bytes") == 0)
        return TOUCH_BYTES;
    if (strcmp(word, "none") != 0)
        worker_fail("touch must be none, page or bytes, not '%s'", word);
    return TOUCH_NONE;
}

/* One write to each page of [from, to), which both lie on page borders. */
static inline void pages_stamp(unsigned char *data, size_t from, size_t to, uint64_t tag)
{
    for (size_t at = from; at < to; at += PAGE_BYTES)
        *(volatile uint64_t *)(void *)(data + at) = tag + at;
}

static inline void page_check(const unsigned char *data, size_t at, uint64_t tag)
{
    if (*(const volatile uint64_t *)(const void *)(data + at) != tag + at)
        worker_fail("a piece was overwritten at %zu", at);
}

static inline void pages_check(const unsigned char *data, size_t bytes, uint64_t tag)
{
    for (size_t at = 0; at < bytes; at += PAGE_BYTES)
        page_check(data, at, tag);
}

static inline void piece_touch(const struct piece *piece, enum touch touch, uint64_t tag)
{
    if (touch == TOUCH_PAGE)
        pages_stamp(piece->region.data, 0, piece->bytes, tag);
    else if (touch == TOUCH_BYTES)
        memset(piece->region.data, (int)(tag & 0xff), piece->bytes);
}

/* Looks at the beginning, the middle and the end: a page that two pieces share would show, and the
 * look costs next to nothing beside the touch. */
static inline void piece_check(const struct piece *piece, enum touch touch, uint64_t tag)
{
    const size_t places[] = {0, piece->bytes / 2, piece->bytes - 1};
    for (size_t i = 0; i < 3 && touch != TOUCH_NONE; i++) {
        if (touch == TOUCH_PAGE)
            page_check(piece->region.data, places[i] / PAGE_BYTES * PAGE_BYTES, tag);
        else if (((const volatile unsigned char *)piece->region.data)[places[i]] != (tag & 0xff))
            worker_fail("a piece was overwritten at %zu", places[i]);
    }
}

#endif
