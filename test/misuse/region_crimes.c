/* Crimes with regions: each call on what is no region in use, on its inside, and after its
 * release. */
#include "contents.h"
#include "misuse.h"
#include "test_threads.h"

#include <terrane/terrane.h>

#define MESSAGE_NO_OBJECT "terrane: invalid free: pointer <pointer> is a region, not an object"
#define MESSAGE_REGION    "terrane: invalid region: pointer <pointer> is not a region in use"

static struct terrane_region region_get(size_t size)
{
    struct terrane_region region = {NULL, 0};
    EXPECT(terrane_region_acquire(NULL, size, &region) == 0);
    contents_write(region.data, size, 1);
    return region;
}

/* A second name for a region that is released by its first. */
static struct terrane_region gone(size_t size)
{
    struct terrane_region region = region_get(size);
    const struct terrane_region other = {accused(region.data), region.capacity};
    terrane_region_release(&region);
    return other;
}

static struct terrane_region inside(size_t size)
{
    const struct terrane_region region = region_get(size);
    return (struct terrane_region){accused((char *)region.data + region.capacity / 2),
                                   region.capacity};
}

static void release_twice(size_t size)
{
    struct terrane_region region = gone(size);
    terrane_region_release(&region);
}

/* Behind the cache: it has gone to the kernel meanwhile. */
static void release_purged(size_t size)
{
    struct terrane_region region = gone(size);
    (void)terrane_pool_purge(NULL);
    terrane_region_release(&region);
}

static void *release_it(void *context)
{
    terrane_region_release(context);
    return NULL;
}

static void release_twice_in_thread(size_t size)
{
    struct terrane_region region = gone(size);
    thread_run(release_it, &region);
}

static void release_inside(size_t size)
{
    struct terrane_region region = inside(size);
    terrane_region_release(&region);
}

static void release_foreign(size_t size)
{
    char local[64];
    struct terrane_region region = {accused(local), size};
    terrane_region_release(&region);
}

static void release_object(size_t size)
{
    struct terrane_heap *heap = NULL;
    EXPECT(terrane_heap_create(NULL, NULL, &heap) == 0);
    struct terrane_region region = {accused(terrane_heap_alloc(heap, size)), size};
    terrane_region_release(&region);
}

static void resize_released(size_t size)
{
    struct terrane_region region = gone(size);
    EXPECT(terrane_region_resize(&region, 2 * size) == 0);
}

static void resize_inside(size_t size)
{
    struct terrane_region region = inside(size);
    EXPECT(terrane_region_resize(&region, 2 * size) == 0);
}

static void move_released(size_t size)
{
    struct terrane_space *space = NULL;
    EXPECT(terrane_space_create(NULL, &space) == 0);
    struct terrane_region region = gone(size);
    EXPECT(terrane_region_move(&region, space) == 0);
}

static void seal_released(size_t size)
{
    const struct terrane_region region = gone(size);
    EXPECT(terrane_region_seal(&region) == 0);
}

static void advise_released(size_t size)
{
    const struct terrane_region region = gone(size);
    EXPECT(terrane_region_advise(&region, 0, size, TERRANE_ADVICE_DEAD) == 0);
}

static void object_of_released(size_t size)
{
    struct terrane_heap *heap = NULL;
    void *object;
    EXPECT(terrane_heap_create(NULL, NULL, &heap) == 0);
    struct terrane_region region = gone(size);
    EXPECT(terrane_region_to_object(&region, heap, &object) == 0);
}

/* A region is no object: its release is another call. */
static void free_region(size_t size)
{
    struct terrane_region region = region_get(size);
    terrane_free(accused(region.data));
}

static const struct misuse_case cases[] = {
    {"release-twice-small", MESSAGE_REGION, release_twice, MEDIUM, false},
    {"release-twice", MESSAGE_REGION, release_twice, LARGE, false},
    {"release-twice-huge", MESSAGE_REGION, release_twice, 100 * HUGE_, false},
    {"release-purged", MESSAGE_REGION, release_purged, HUGE_, false},
    {"release-twice-in-thread", MESSAGE_REGION, release_twice_in_thread, LARGE, false},
    {"release-inside", MESSAGE_REGION, release_inside, HUGE_, false},
    {"release-inside-block", MESSAGE_REGION, release_inside, MEDIUM, false},
    {"release-foreign", MESSAGE_REGION, release_foreign, LARGE, false},
    {"release-object", MESSAGE_REGION, release_object, LARGE, false},
    {"release-small-object", MESSAGE_REGION, release_object, SMALL, false},
    {"resize-released", MESSAGE_REGION, resize_released, LARGE, false},
    {"resize-inside", MESSAGE_REGION, resize_inside, HUGE_, false},
    {"move-released", MESSAGE_REGION, move_released, LARGE, false},
    {"seal-released", MESSAGE_REGION, seal_released, LARGE, false},
    {"advise-released", MESSAGE_REGION, advise_released, LARGE, false},
    {"object-of-released", MESSAGE_REGION, object_of_released, LARGE, false},
    {"free-region", MESSAGE_NO_OBJECT, free_region, LARGE, false},
};

MISUSE_MAIN(cases)
