/* Memory nodes, faked: runs come back to the node that their pages come from and serve its threads
 * first, nothing is lost between the nodes, a space can prefer one, and nobody asks for nodes on a
 * machine that has one. */
#include "contents.h"
#include "os/os.h"
#include "pool/pool.h"
#include "seeds.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/pool.h>

#include <cmocka.h>

#define BYTES (2 * TN_MIB)

/* ---- the fake machine ---- */

static unsigned nodes = 2;
static unsigned node_now;
static unsigned questions;

unsigned __wrap_tn_os_nodes(void);
unsigned __wrap_tn_os_nodes(void)
{
    return nodes;
}

unsigned __wrap_tn_os_node_now(void);
unsigned __wrap_tn_os_node_now(void)
{
    questions++;
    return node_now;
}

static struct {
    unsigned calls;
    char *addr;
    size_t bytes;
    unsigned node;
    int error;
} placed;

int __wrap_tn_os_place(void *addr, size_t size, unsigned node);
int __wrap_tn_os_place(void *addr, size_t size, unsigned node)
{
    placed.calls++;
    placed.addr = addr;
    placed.bytes = size;
    placed.node = node;
    return placed.error;
}

/* ---- helpers ---- */

static struct terrane_space *make(unsigned machine_nodes, size_t cache_bytes)
{
    struct terrane_space *space;
    const struct terrane_space_options options = {.window_bytes = TN_GIB};
    nodes = machine_nodes;
    node_now = 0;
    assert_int_equal(terrane_space_create(&options, &space), 0);
    terrane_pool_set_cache(space, cache_bytes);
    terrane_pool_set_decay(space, UINT64_MAX);
    return space;
}

static struct terrane_region take_on(unsigned node, struct terrane_space *space)
{
    struct terrane_region region;
    node_now = node;
    assert_int_equal(terrane_region_acquire(space, BYTES, &region), 0);
    return region;
}

static void give_on(unsigned node, struct terrane_region region)
{
    node_now = node;
    terrane_region_release(&region);
}

static struct terrane_order_stats total_of(struct terrane_space *space)
{
    struct terrane_pool_stats stats;
    terrane_pool_stats(space, &stats);
    tn_space_audit(space);
    return stats.total;
}

/* ---- lists of the nodes ---- */

static void test_home_first(void **state)
{
    (void)state;
    struct terrane_space *space = make(3, 0);
    struct terrane_region regions[3];
    for (unsigned node = 0; node < 3; node++)
        regions[node] = take_on(node, space);
    for (unsigned round = 0; round < 6; round++) {
        for (unsigned i = 0; i < 3; i++) /* in another order each time, by any thread */
            give_on(round % 3, regions[(i + round) % 3]);
        for (unsigned i = 0; i < 3; i++) {
            const unsigned node = (2 * i + round) % 3;
            assert_ptr_equal(take_on(node, space).data, regions[node].data);
        }
    }
    assert_int_equal(total_of(space).dirty_bytes, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Warm memory of another node is better than none. */
static void test_others_next(void **state)
{
    (void)state;
    struct terrane_space *space = make(2, 0);
    const struct terrane_region region = take_on(0, space);
    give_on(0, region);
    assert_ptr_equal(take_on(1, space).data, region.data);
    give_on(1, region); /* its pages are still those of node 0 */
    const struct terrane_region first = take_on(0, space);
    assert_ptr_equal(first.data, region.data);
    const struct terrane_region second = take_on(1, space);
    give_on(1, first);
    give_on(1, second);
    assert_ptr_equal(take_on(0, space).data, first.data);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* What comes from elsewhere does not stay in a thread's cache. */
static void test_caches_are_local(void **state)
{
    (void)state;
    struct terrane_space *space = make(2, 64 * TN_MIB);
    const struct terrane_region here = take_on(0, space), there = take_on(1, space);
    give_on(0, here);
    give_on(0, there);
    assert_int_equal(total_of(space).cached_bytes, BYTES);
    assert_int_equal(total_of(space).dirty_bytes, BYTES);
    assert_ptr_equal(take_on(0, space).data, here.data);
    assert_ptr_equal(take_on(1, space).data, there.data);
    assert_int_equal(terrane_space_destroy(space), 0);
}

static void test_purge_finds_all(void **state)
{
    (void)state;
    struct terrane_space *space = make(4, 0);
    struct terrane_region regions[16];
    for (unsigned i = 0; i < 16; i++)
        regions[i] = take_on(i % 4, space);
    for (unsigned i = 0; i < 16; i++)
        give_on(0, regions[i]);
    assert_int_equal(total_of(space).dirty_bytes, 16 * BYTES);
    assert_int_equal(terrane_pool_purge(space), 16 * BYTES);
    assert_int_equal(total_of(space).dirty_bytes, 0);
    terrane_pool_set_decay(space, 0);
    give_on(3, take_on(2, space));
    assert_int_equal(terrane_space_trim(space) + total_of(space).dirty_bytes, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* Regions and objects of all sizes, on nodes that change at any time. */
static void test_histories(void **state)
{
    (void)state;
    struct seeds seeds = seeds_stream(seeds_announce("fake_memory_nodes"), 0);
    const unsigned machines[] = {2, 5, TN_NODES_MAX, 1000};
    for (unsigned machine = 0; machine < 4; machine++) {
        struct terrane_space *space = make(machines[machine], 4 * TN_MIB);
        struct terrane_heap *heap;
        struct terrane_region regions[32] = {{NULL, 0}};
        void *objects[32] = {NULL};
        assert_int_equal(terrane_heap_create(space, NULL, &heap), 0);
        for (unsigned step = 0; step < 2000; step++) {
            const size_t at = (size_t)seeds_below(&seeds, 32);
            const size_t bytes = seeds_size(&seeds, 23);
            node_now = (unsigned)seeds_below(&seeds, machines[machine]);
            if (regions[at].data != NULL) {
                assert_true(contents_intact(regions[at].data, 4096, at));
                terrane_region_release(&regions[at]);
            }
            assert_int_equal(terrane_region_acquire(space, bytes, &regions[at]), 0);
            contents_write(regions[at].data, 4096, at);
            terrane_free(objects[at]);
            objects[at] = terrane_heap_alloc(heap, bytes);
            assert_non_null(objects[at]);
        }
        (void)total_of(space);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* ---- one node ---- */

static void test_nobody_asks(void **state)
{
    (void)state;
    struct terrane_space *space = make(1, 64 * TN_MIB);
    questions = 0;
    give_on(0, take_on(0, space));
    terrane_pool_set_cache(space, 0);
    give_on(0, take_on(0, space));
    (void)terrane_pool_purge(space);
    assert_int_equal(questions, 0);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- a space that prefers a node ---- */

static void assert_placed(const char *addr, size_t bytes, unsigned node)
{
    assert_int_equal(placed.calls, 1);
    assert_ptr_equal(placed.addr, addr);
    assert_int_equal(placed.bytes, bytes);
    assert_int_equal(placed.node, node);
    placed.calls = 0;
}

static void test_preferred(void **state)
{
    (void)state;
    nodes = 3;
    for (int refused = 0; refused < 2; refused++) {
        struct terrane_space *space;
        placed.error = refused ? -ENOTSUP : 0;
        const struct terrane_space_options options = {.window_bytes = TN_GIB,
                                                      .numa_node_plus_one = 2};
        assert_int_equal(terrane_space_create(&options, &space), 0);
        assert_placed(space->base, TN_GIB, 1);
        terrane_pool_set_cache(space, 0);
        terrane_pool_set_decay(space, UINT64_MAX);
        questions = 0;
        const struct terrane_region region = take_on(0, space);
        give_on(2, region);
        assert_int_equal(questions, 0);
        assert_int_equal(terrane_pool_purge(space), BYTES); /* mapped afresh: placed again */
        assert_placed(region.data, BYTES, 1);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
    placed.error = 0;
}

static void test_no_such_node(void **state)
{
    (void)state;
    struct terrane_space *space;
    nodes = 2;
    struct terrane_space_options options = {.window_bytes = TN_GIB, .numa_node_plus_one = 3};
    assert_int_equal(terrane_space_create(&options, &space), -EINVAL);
    options.numa_node_plus_one = UINT32_MAX;
    assert_int_equal(terrane_space_create(&options, &space), -EINVAL);
    options = (struct terrane_space_options){
        .backing = TERRANE_BACKING_SCRATCH, .scratch_dir = "/var/tmp", .numa_node_plus_one = 1};
    assert_int_equal(terrane_space_create(&options, &space), -EINVAL);
    assert_int_equal(placed.calls, 0);
}

/* ---- the real machine ---- */

unsigned __real_tn_os_nodes(void);
unsigned __real_tn_os_node_now(void);
int __real_tn_os_place(void *addr, size_t size, unsigned node);

static void test_real_verbs(void **state)
{
    (void)state;
    const unsigned real_nodes = __real_tn_os_nodes();
    assert_in_range(real_nodes, 1, 1024);
    assert_in_range(__real_tn_os_node_now(), 0, 1023);
    void *range;
    assert_int_equal(tn_os_allocate(BYTES, &range), 0);
    const int error = __real_tn_os_place(range, BYTES, real_nodes - 1);
    assert_true(error == 0 || error == -ENOTSUP);
    memset(range, 1, BYTES);
    assert_int_equal(__real_tn_os_place(range, BYTES, 5000), -ENOTSUP);
    assert_int_equal(tn_os_release(range, BYTES), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_home_first),       cmocka_unit_test(test_others_next),
        cmocka_unit_test(test_caches_are_local), cmocka_unit_test(test_purge_finds_all),
        cmocka_unit_test(test_histories),        cmocka_unit_test(test_nobody_asks),
        cmocka_unit_test(test_preferred),        cmocka_unit_test(test_no_such_node),
        cmocka_unit_test(test_real_verbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
