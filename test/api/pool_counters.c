/* Every counter of struct terrane_pool_stats, driven and compared with the truth.
 *
 * A test says what each step does to a model of the struct; after the step all fields of all orders
 * must be those of the model, so that a field that must not change is as much looked at as one that
 * must. What only the kernel knows (bytes of the file, pages) is asked of the kernel. */
#include "api_test.h"
#include "test_threads.h"

#include <linux/magic.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>

#define ORDER_WORDS (sizeof(struct terrane_order_stats) / sizeof(uint64_t))
#define RUN         ((size_t)65536)

/* ---- the model ---- */

static struct terrane_pool_stats model;
static struct terrane_space *space;
static int space_fd; /* of a shared space, else -1 */

static unsigned order_of(size_t bytes)
{
    unsigned order = 0;
    while (RUN << order < bytes)
        order++;
    return order;
}

static struct terrane_order_stats *of(size_t bytes)
{
    return &model.orders[order_of(bytes)];
}

static uint64_t held(const struct terrane_order_stats *order)
{
    return order->live_bytes + order->cached_bytes;
}

static void add_up(void)
{
    const uint64_t peak = model.total.held_peak;
    memset(&model.total, 0, sizeof(model.total));
    for (unsigned i = 0; i < TERRANE_POOL_ORDERS; i++) {
        const uint64_t *from = (const uint64_t *)(const void *)&model.orders[i];
        uint64_t *to = (uint64_t *)(void *)&model.total;
        for (size_t word = 0; word < ORDER_WORDS; word++)
            to[word] += from[word];
    }
    model.total.held_peak = peak > held(&model.total) ? peak : held(&model.total);
    model.resident_bytes = held(&model.total) + model.total.dirty_bytes;
}

static void supplied(size_t bytes, uint64_t *counter)
{
    struct terrane_order_stats *order = of(bytes);
    order->acquires++;
    ++*counter;
    order->live_bytes += bytes;
    if (order->held_peak < held(order))
        order->held_peak = held(order);
    add_up();
}

/* The file system's own count, in place of the model's. */
static uint64_t file_bytes(void)
{
    struct stat about;
    if (space_fd < 0)
        return 0;
    assert_int_equal(fstat(space_fd, &about), 0);
    return (uint64_t)about.st_blocks * 512;
}

static const char *const order_names[] = {
    "acquires",  "releases",     "cache_hits",  "dirty_hits",   "steals",
    "refills",   "splits",       "joins",       "purged_bytes", "live_bytes",
    "held_peak", "cached_bytes", "dirty_bytes", "clean_bytes",
};
_Static_assert(sizeof(order_names) / sizeof(order_names[0]) == ORDER_WORDS, "a name each");

static void compare_order(const char *where, const struct terrane_order_stats *now,
                          const struct terrane_order_stats *wanted, const char *step)
{
    const uint64_t *have = (const uint64_t *)(const void *)now;
    const uint64_t *want = (const uint64_t *)(const void *)wanted;
    for (size_t word = 0; word < ORDER_WORDS; word++) {
        if (have[word] != want[word])
            fail_msg("%s: %s of %s is %llu instead of %llu", step, order_names[word], where,
                     (unsigned long long)have[word], (unsigned long long)want[word]);
    }
}

#define COMPARE(field)                                                                             \
    do {                                                                                           \
        if (now.field != model.field)                                                              \
            fail_msg("%s: " #field " is %llu instead of %llu", step,                               \
                     (unsigned long long)now.field, (unsigned long long)model.field);              \
    } while (0)

/* All fields against the model. */
static void compare(const char *step)
{
    struct terrane_pool_stats now;
    memset(&now, 0xff, sizeof(now));
    add_up();
    terrane_pool_stats(space, &now);
    for (unsigned i = 0; i < TERRANE_POOL_ORDERS; i++) {
        char where[32];
        snprintf(where, sizeof(where), "order %u", i);
        compare_order(where, &now.orders[i], &model.orders[i], step);
    }
    compare_order("total", &now.total, &model.total, step);
    model.file_bytes = file_bytes();
    COMPARE(version);
    COMPARE(regions);
    COMPARE(resizes);
    COMPARE(purges);
    COMPARE(refusals);
    COMPARE(pressure_calls);
    COMPARE(mapped_bytes);
    COMPARE(resident_bytes);
    COMPARE(file_bytes);
    COMPARE(elided_bytes);
    COMPARE(evicted_bytes);
    COMPARE(limit_bytes);
    COMPARE(budget_bytes);
}

/* ---- steps ---- */

static int lowest_free_descriptor(void)
{
    const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    close(fd);
    return fd;
}

/* A space in which time does nothing. */
static void begin(enum terrane_backing backing, size_t cache_bytes)
{
    const int fd = lowest_free_descriptor();
    space = space_of_backing(backing);
    space_fd = backing == TERRANE_BACKING_PRIVATE ? -1 : fd;
    terrane_pool_set_decay(space, UINT64_MAX);
    terrane_pool_set_cache(space, cache_bytes);
    memset(&model, 0, sizeof(model));
    model.version = TERRANE_POOL_STATS_VERSION;
    compare("a new space");
}

static void end(void)
{
    assert_int_equal(terrane_space_destroy(space), 0);
}

static struct terrane_region acquire(size_t bytes)
{
    struct terrane_region region;
    assert_int_equal(terrane_region_acquire(space, bytes, &region), 0);
    assert_int_equal(region.capacity, bytes); /* sizes here are classes */
    memset(region.data, 1, region.capacity);
    model.regions++;
    return region;
}

static void release(struct terrane_region *region, uint64_t *bytes_now)
{
    struct terrane_order_stats *order = of(region->capacity);
    order->releases++;
    order->live_bytes -= region->capacity;
    *bytes_now += region->capacity;
    model.regions--;
    terrane_region_release(region);
    add_up();
}

static void release_shared(struct terrane_region *region)
{
    release(region, &of(region->capacity)->dirty_bytes);
}

/* One warm run of each of the given sizes goes back; what becomes of their addresses is the
 * caller's to say. */
static void purged(size_t bytes)
{
    of(bytes)->dirty_bytes -= bytes;
    of(bytes)->purged_bytes += bytes;
    model.purges++;
}

/* ---- supply from shared lists and clean addresses; splits and joins ---- */

/* The window begins empty: 64 KiB at its start, then a run of 128 and one of 256 KiB, each at its
 * own alignment, with 64 KiB left over between.
 *
 *   0      64     128            256                            512
 *   | a    |      | b            | c (224 of 256)               |
 */
static void supply(enum terrane_backing backing)
{
    begin(backing, 0);
    struct terrane_region a = acquire(RUN);
    supplied(RUN, &of(RUN)->refills);
    model.mapped_bytes = RUN;
    compare("the first run");

    struct terrane_region b = acquire(2 * RUN);
    supplied(2 * RUN, &of(2 * RUN)->refills);
    model.mapped_bytes = 4 * RUN;
    of(RUN)->clean_bytes = RUN;
    compare("one behind a gap");

    struct terrane_region c = acquire(7 * RUN / 2);
    supplied(7 * RUN / 2, &of(4 * RUN)->refills);
    model.mapped_bytes = 8 * RUN;
    compare("a class between two orders");

    release_shared(&a);
    compare("released");
    release_shared(&b);
    release_shared(&c);
    compare("all released");

    b = acquire(2 * RUN);
    of(2 * RUN)->dirty_bytes -= 2 * RUN;
    supplied(2 * RUN, &of(2 * RUN)->dirty_hits);
    compare("taken warm");

    assert_int_equal(terrane_pool_purge(space), RUN + 7 * RUN / 2);
    purged(RUN);
    purged(7 * RUN / 2);
    of(RUN)->clean_bytes = 0;
    of(RUN * 2)->joins++;
    of(RUN * 2)->clean_bytes = 2 * RUN;
    of(RUN * 4)->clean_bytes = 4 * RUN;
    compare("purged around a live one");
}

static void supply_to_the_end(void)
{
    /* Taken from where a joined run was: it is split again, order by order. */
    struct terrane_region small = acquire(RUN);
    supplied(RUN, &of(RUN)->refills);
    of(RUN * 2)->splits++;
    of(RUN * 2)->clean_bytes = 0;
    of(RUN)->clean_bytes = RUN;
    compare("split");

    release_shared(&small);
    compare("split and released");
    assert_int_equal(terrane_pool_purge(space), RUN);
    purged(RUN);
    of(RUN)->clean_bytes = 0;
    of(RUN * 2)->joins++;
    of(RUN * 2)->clean_bytes = 2 * RUN;
    compare("joined again");
    assert_int_equal(terrane_pool_purge(space), 0);
    compare("nothing to purge");
    end();
}

static void test_supply(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_MEMFD; backing++) {
        supply((enum terrane_backing)backing);
        supply_to_the_end();
    }
}

/* ---- threads' caches ---- */

/* A thread that releases into its cache and stays until it is told to end. */
struct holder {
    struct terrane_region region;
    pthread_barrier_t released, may_end;
};

static void *hold_in_cache(void *context)
{
    struct holder *holder = context;
    terrane_region_release(&holder->region);
    (void)pthread_barrier_wait(&holder->released);
    (void)pthread_barrier_wait(&holder->may_end);
    return NULL;
}

static void own_cache(enum terrane_backing backing)
{
    begin(backing, 64 * MIB);
    struct terrane_region region = acquire(4 * RUN);
    supplied(4 * RUN, &of(4 * RUN)->refills);
    model.mapped_bytes = 4 * RUN;
    compare("refilled");
    for (int i = 0; i < 5; i++) {
        release(&region, &of(4 * RUN)->cached_bytes);
        compare("into the cache");
        region = acquire(4 * RUN);
        of(4 * RUN)->cached_bytes -= 4 * RUN;
        supplied(4 * RUN, &of(4 * RUN)->cache_hits);
        compare("out of the cache");
    }
    release(&region, &of(4 * RUN)->cached_bytes);
    terrane_pool_set_cache(space, 0); /* empties it into the shared lists */
    of(4 * RUN)->cached_bytes = 0;
    of(4 * RUN)->dirty_bytes = 4 * RUN;
    compare("emptied");
    end();
}

static void other_cache(enum terrane_backing backing)
{
    static struct holder holder;
    begin(backing, 64 * MIB);
    pthread_barrier_init(&holder.released, NULL, 2);
    pthread_barrier_init(&holder.may_end, NULL, 2);
    struct terrane_region mine = acquire(2 * RUN);
    supplied(2 * RUN, &of(2 * RUN)->refills);
    model.mapped_bytes = 2 * RUN;
    holder.region = mine;
    const pthread_t thread = thread_start(hold_in_cache, &holder);
    (void)pthread_barrier_wait(&holder.released);
    model.regions--;
    of(2 * RUN)->releases++;
    of(2 * RUN)->live_bytes = 0;
    of(2 * RUN)->cached_bytes = 2 * RUN;
    compare("in another thread's cache");
    mine = acquire(2 * RUN);
    of(2 * RUN)->cached_bytes = 0;
    supplied(2 * RUN, &of(2 * RUN)->steals);
    compare("stolen");
    (void)pthread_barrier_wait(&holder.may_end);
    thread_join(thread);
    compare("the thread has ended");
    release(&mine, &of(2 * RUN)->cached_bytes);
    compare("in the thief's cache");
    end();
    pthread_barrier_destroy(&holder.released);
    pthread_barrier_destroy(&holder.may_end);
}

static void *release_and_end(void *context)
{
    terrane_region_release(context);
    return NULL;
}

/* What an ended thread's cache held is everybody's. */
static void orphaned_cache(enum terrane_backing backing)
{
    begin(backing, 64 * MIB);
    struct terrane_region region = acquire(RUN);
    supplied(RUN, &of(RUN)->refills);
    model.mapped_bytes = RUN;
    thread_join(thread_start(release_and_end, &region));
    model.regions--;
    of(RUN)->releases++;
    of(RUN)->live_bytes = 0;
    of(RUN)->dirty_bytes = RUN;
    compare("its thread has ended");
    region = acquire(RUN);
    of(RUN)->dirty_bytes = 0;
    supplied(RUN, &of(RUN)->dirty_hits);
    compare("taken from there");
    end();
}

static void test_caches(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_MEMFD; backing++) {
        own_cache((enum terrane_backing)backing);
        other_cache((enum terrane_backing)backing);
        orphaned_cache((enum terrane_backing)backing);
    }
}

/* ---- limits ---- */

struct pressure {
    struct terrane_region *spare;
    size_t bytes; /* that it must be called for */
    unsigned calls;
};

static bool give_spare(struct terrane_space *pressed, size_t bytes, void *context)
{
    struct pressure *pressure = context;
    assert_ptr_equal(pressed, space);
    assert_int_equal(bytes, pressure->bytes);
    pressure->calls++;
    if (pressure->spare == NULL)
        return false;
    terrane_region_release(pressure->spare);
    pressure->spare = NULL;
    return true;
}

static void test_limits(void **state)
{
    (void)state;
    struct terrane_region refused = {NULL, 0};
    begin(TERRANE_BACKING_PRIVATE, 0);
    terrane_pool_set_limit(space, 3 * RUN);
    model.limit_bytes = 3 * RUN;
    compare("a limit");
    struct terrane_region a = acquire(2 * RUN);
    supplied(2 * RUN, &of(2 * RUN)->refills);
    model.mapped_bytes = 2 * RUN;
    assert_int_equal(terrane_region_acquire(space, 2 * RUN, &refused), -ENOMEM);
    model.refusals++;
    compare("refused");

    struct pressure pressure = {&a, 2 * RUN, 0};
    terrane_pool_on_pressure(space, give_spare, &pressure);
    struct terrane_region b = acquire(2 * RUN);
    of(2 * RUN)->releases++;
    of(2 * RUN)->live_bytes = 0;
    model.regions--; /* a, by the callback */
    supplied(2 * RUN, &of(2 * RUN)->dirty_hits);
    model.pressure_calls = pressure.calls;
    assert_int_equal(pressure.calls, 1);
    compare("granted under pressure");
    assert_int_equal(terrane_region_acquire(space, 2 * RUN, &refused), -ENOMEM);
    model.refusals++;
    model.pressure_calls = pressure.calls;
    assert_int_equal(pressure.calls, 2);
    compare("refused under pressure");
    pressure.bytes = 64 * RUN;
    assert_int_equal(terrane_region_resize(&b, 64 * RUN), -ENOMEM);
    model.resizes++;
    model.refusals++;
    model.pressure_calls = pressure.calls;
    compare("a resize refused");
    terrane_pool_on_pressure(space, NULL, NULL);
    end();
}

/* ---- what the kernel says ---- */

static size_t resident_of(const void *addr, size_t bytes)
{
    static unsigned char there[1 << 16];
    size_t pages = 0;
    char *start = (char *)(uintptr_t)addr;
    assert_true(bytes / 4096 <= sizeof(there));
    assert_int_equal(mincore(start, bytes, there), 0);
    for (size_t i = 0; i < bytes / 4096; i++)
        pages += there[i] & 1u;
    return pages * 4096;
}

/* Dirty bytes have pages, clean ones have none, and files take what is live and dirty. */
static void test_pages_are_real(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_PRIVATE; backing <= TERRANE_BACKING_MEMFD; backing++) {
        begin((enum terrane_backing)backing, 0);
        struct terrane_region region = acquire(64 * RUN);
        supplied(64 * RUN, &of(64 * RUN)->refills);
        model.mapped_bytes = 64 * RUN;
        const void *addr = region.data;
        compare("touched");
        assert_int_equal(resident_of(addr, 64 * RUN), model.resident_bytes);
        release_shared(&region);
        compare("warm");
        assert_int_equal(resident_of(addr, 64 * RUN), model.resident_bytes);
        if (space_fd >= 0)
            assert_int_equal(model.file_bytes, 64 * RUN);
        assert_int_equal(terrane_pool_purge(space), 64 * RUN);
        purged(64 * RUN);
        of(64 * RUN)->clean_bytes = 64 * RUN;
        compare("given back");
        assert_int_equal(model.resident_bytes, 0);
        assert_int_equal(resident_of(addr, 64 * RUN), 0);
        assert_int_equal(model.file_bytes, 0);
        end();
    }
}

/* What was written to a scratch file and is freed before it reaches the medium never has to. */
static void test_elided(void **state)
{
    (void)state;
    begin(TERRANE_BACKING_SCRATCH, 0);
    struct terrane_region region = acquire(16 * RUN);
    supplied(16 * RUN, &of(16 * RUN)->refills);
    model.mapped_bytes = 16 * RUN;
    compare("written");
    release_shared(&region);
    assert_int_equal(terrane_pool_purge(space), 16 * RUN);
    purged(16 * RUN);
    of(16 * RUN)->clean_bytes = 16 * RUN;
    struct terrane_pool_stats now;
    terrane_pool_stats(space, &now);
    /* 0: a file system in memory, or a kernel without cachestat. */
    model.elided_bytes = now.elided_bytes == 0 ? 0 : 16 * RUN;
    compare("punched out");
    assert_int_equal(model.file_bytes, 0);
    end();
    if (now.elided_bytes == 0)
        skip();
}

/* Each page is written once and read by nobody, so what is no longer in memory was evicted. */
static void test_evicted(void **state)
{
    (void)state;
    enum { COUNT = 64 };
    const size_t bytes = 16 * RUN, budget = 16 * MIB;
    struct statfs medium;
    if (statfs(scratch_dir(), &medium) == 0 && medium.f_type == TMPFS_MAGIC)
        skip(); /* there is nothing to write out to */
    struct terrane_region regions[COUNT];
    struct terrane_pool_stats now;
    begin(TERRANE_BACKING_SCRATCH, 0);
    assert_int_equal(terrane_pool_set_resident_budget(space, budget), 0);
    model.budget_bytes = budget;
    compare("a budget");
    for (size_t i = 0; i < COUNT; i++)
        regions[i] = acquire(bytes);
    uint64_t resident = 0, evicted = UINT64_MAX;
    for (int tries = 0; tries < 200; tries++) { /* until the worker has nothing to do */
        terrane_pool_stats(space, &now);
        if (now.evicted_bytes == evicted && resident <= budget)
            break;
        evicted = now.evicted_bytes;
        usleep(200000);
        resident = 0;
        for (size_t i = 0; i < COUNT; i++)
            resident += resident_of(regions[i].data, bytes);
    }
    assert_true(resident <= budget);
    const uint64_t gone = COUNT * bytes - resident;
    /* A page may go while it is being written and come back; the kernel may drop some itself. */
    assert_true(now.evicted_bytes <= gone + gone / 16);
    assert_true(now.evicted_bytes >= gone - gone / 16);
    assert_int_equal(now.resident_bytes, COUNT * bytes); /* what may have pages, or had */
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(((char *)regions[i].data)[bytes - 1], 1);
        terrane_region_release(&regions[i]);
    }
    assert_int_equal(terrane_pool_set_resident_budget(space, 0), 0);
    terrane_pool_stats(space, &now);
    assert_int_equal(now.budget_bytes, 0);
    end();
}

/* ---- resizes, and runs of heaps ---- */

static void test_resizes(void **state)
{
    (void)state;
    begin(TERRANE_BACKING_PRIVATE, 0);
    struct terrane_region region = acquire(2 * RUN);
    struct terrane_pool_stats now;
    const size_t sizes[] = {8 * RUN, 64 * RUN, 3 * RUN, 2 * RUN};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(terrane_region_resize(&region, sizes[i]), 0);
        terrane_pool_stats(space, &now);
        assert_int_equal(now.resizes, i + 1);
        assert_int_equal(now.regions, 1);
        assert_int_equal(now.total.live_bytes, region.capacity);
        assert_int_equal(now.refusals, 0);
    }
    assert_true(now.total.held_peak >= 64 * RUN);
    terrane_region_release(&region);
    terrane_pool_stats(space, &now);
    assert_int_equal(now.total.live_bytes, 0);
    assert_int_equal(now.regions, 0);
    assert_int_equal(now.total.acquires, now.total.releases);
    end();
}

/* Blocks and large objects are runs as well, but no regions. */
static void test_runs_of_heaps(void **state)
{
    (void)state;
    begin(TERRANE_BACKING_PRIVATE, 0);
    struct terrane_heap *heap = heap_in(space);
    struct terrane_pool_stats now;
    void *small = object_in(heap, 100);
    terrane_pool_stats(space, &now);
    assert_int_equal(now.orders[0].acquires, 1);
    assert_int_equal(now.orders[0].live_bytes, RUN);
    void *large = object_in(heap, MIB);
    terrane_pool_stats(space, &now);
    assert_int_equal(now.total.acquires, 2);
    assert_int_equal(now.total.refills, 2);
    assert_int_equal(now.total.live_bytes, RUN + MIB);
    assert_int_equal(now.total.live_bytes, stats_of(space).run_bytes);
    assert_int_equal(now.regions, 0);
    terrane_free(large);
    terrane_free(small);
    terrane_heap_destroy(heap);
    terrane_pool_stats(space, &now);
    assert_int_equal(now.total.releases, 2);
    assert_int_equal(now.total.live_bytes, 0);
    assert_int_equal(now.total.held_peak, stats_of(space).run_bytes_peak);
    end();
}

/* Fading at once: released is purged. */
static void test_decay_purges(void **state)
{
    (void)state;
    begin(TERRANE_BACKING_PRIVATE, 0);
    terrane_pool_set_decay(space, 0);
    for (unsigned i = 1; i <= 3; i++) {
        struct terrane_region region = acquire(32 * RUN);
        struct terrane_pool_stats now;
        terrane_region_release(&region);
        for (int tries = 0; tries < 1000; tries++) { /* by the worker, as soon as it runs */
            terrane_pool_stats(space, &now);
            if (now.total.dirty_bytes == 0)
                break;
            usleep(10000);
        }
        assert_int_equal(now.orders[5].purged_bytes, i * 32 * RUN);
        assert_int_equal(now.total.dirty_bytes, 0);
        assert_int_equal(now.purges, i);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_supply),       cmocka_unit_test(test_caches),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_pages_are_real),
        cmocka_unit_test(test_elided),       cmocka_unit_test(test_evicted),
        cmocka_unit_test(test_resizes),      cmocka_unit_test(test_runs_of_heaps),
        cmocka_unit_test(test_decay_purges),
    };
    return RUN_TESTS(tests);
}
