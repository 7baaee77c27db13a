/* Kernels that lack things: the same work with the same contents, by other means.
 *
 * The probe's result is replaced, and the verbs refuse what the kernel is said not to have, as an
 * old kernel would. Each case runs in a process of its own, since some answers are kept. */
#include "growing_arrays.h"
#include "heap/heap.h"
#include "os/os.h"
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define ARRAYS   6
#define FIRST    ((size_t)200 << 10)
#define LAST     ((size_t)6 << 20)
#define WINDOW   ((size_t)2 << 30)
#define PRIVATE_ TERRANE_BACKING_PRIVATE
#define MEMFD    TERRANE_BACKING_MEMFD
#define GUARDED  40

/* ---- the fake kernel ---- */

static struct tn_os_features features;
static enum tn_os_thp thp_found;
static unsigned refusals;

static int refuse(void)
{
    refusals++;
    return -ENOTSUP;
}

int __real_tn_os_move(void *from, void *to, size_t size);
int __wrap_tn_os_move(void *from, void *to, size_t size);
int __wrap_tn_os_move(void *from, void *to, size_t size)
{
    return features.move_keep ? __real_tn_os_move(from, to, size) : refuse();
}

int __real_tn_os_populate(void *addr, size_t size);
int __wrap_tn_os_populate(void *addr, size_t size);
int __wrap_tn_os_populate(void *addr, size_t size)
{
    return features.populate ? __real_tn_os_populate(addr, size) : refuse();
}

int __real_tn_os_guard(void *addr, size_t size);
int __wrap_tn_os_guard(void *addr, size_t size);
int __wrap_tn_os_guard(void *addr, size_t size)
{
    return features.guard ? __real_tn_os_guard(addr, size) : refuse();
}

int __real_tn_os_unguard(void *addr, size_t size);
int __wrap_tn_os_unguard(void *addr, size_t size);
int __wrap_tn_os_unguard(void *addr, size_t size)
{
    return features.guard ? __real_tn_os_unguard(addr, size) : refuse();
}

int __real_tn_os_advise_huge(void *addr, size_t size, bool wanted);
int __wrap_tn_os_advise_huge(void *addr, size_t size, bool wanted);
int __wrap_tn_os_advise_huge(void *addr, size_t size, bool wanted)
{
    const bool any = features.thp != TN_OS_THP_NEVER || features.thp_shared != TN_OS_THP_NEVER;
    return any ? __real_tn_os_advise_huge(addr, size, wanted) : refuse();
}

int __real_tn_os_file_memfd(const char *name, size_t huge_page_bytes, int *fd);
int __wrap_tn_os_file_memfd(const char *name, size_t huge_page_bytes, int *fd);
int __wrap_tn_os_file_memfd(const char *name, size_t huge_page_bytes, int *fd)
{
    return features.memfd ? __real_tn_os_file_memfd(name, huge_page_bytes, fd) : refuse();
}

/* ---- the work ---- */

static struct terrane_space *space_make(enum terrane_backing backing)
{
    const struct terrane_space_options options = {.backing = backing, .window_bytes = WINDOW};
    struct terrane_space *space = NULL;
    EXPECT(terrane_space_create(&options, &space) == 0);
    return space;
}

static struct terrane_stats stats_of(const struct terrane_space *space)
{
    struct terrane_stats stats;
    terrane_space_stats(space, &stats);
    return stats;
}

/* Arrays that grow in turn by a quarter and are in each other's way. */
static void grow_arrays(struct terrane_heap *heap, void *arrays[ARRAYS])
{
    size_t size = FIRST;
    arrays_alloc(heap, arrays, ARRAYS, size);
    for (size_t next; size < LAST; size = next) {
        next = size + size / 4;
        arrays_grow(heap, arrays, ARRAYS, size, next);
        terrane_heap_audit(heap);
    }
    arrays_check(arrays, ARRAYS, LAST);
}

static void move_arrays(struct terrane_heap *heap, void *arrays[ARRAYS])
{
    for (unsigned i = 0; i < ARRAYS; i++) {
        EXPECT(terrane_heap_move(heap, &arrays[i]) == 0);
        EXPECT(terrane_heap_of(arrays[i]) == heap);
        EXPECT_INTACT(arrays[i], LAST, i);
    }
    terrane_heap_audit(heap);
}

static void check_zeroed(struct terrane_heap *heap)
{
    for (size_t size = 50000; size < 2 * LAST; size *= 3) {
        void *object = terrane_heap_alloc_zeroed(heap, size);
        EXPECT(object != NULL);
        EXPECT_ZERO(object, size);
        terrane_free(object);
    }
}

/* Everything a heap does with pages. At the end every mapping is given back; only the advice to use
 * huge pages may outlive the objects, on addresses that were divided since. */
static struct terrane_stats work(enum terrane_backing backing)
{
    struct terrane_space *spaces[2] = {space_make(backing), space_make(backing)};
    struct terrane_heap *heaps[2] = {NULL, NULL};
    void *arrays[ARRAYS];
    for (unsigned i = 0; i < 2; i++)
        EXPECT(terrane_heap_create(spaces[i], NULL, &heaps[i]) == 0);
    grow_arrays(heaps[0], arrays);
    move_arrays(heaps[1], arrays);
    check_zeroed(heaps[0]);
    for (unsigned i = 0; i < ARRAYS; i++)
        terrane_free(arrays[i]);
    check_zeroed(heaps[1]);
    struct terrane_stats sum = stats_of(spaces[0]);
    const struct terrane_stats other = stats_of(spaces[1]);
    sum.moves += other.moves;
    sum.copies += other.copies;
    sum.copy_bytes += other.copy_bytes;
    for (unsigned i = 0; i < 2; i++) {
        terrane_heap_destroy(heaps[i]);
        (void)terrane_space_trim(spaces[i]);
        const struct terrane_stats end = stats_of(spaces[i]);
        const enum tn_os_thp thp = backing == MEMFD ? features.thp_shared : features.thp;
        EXPECT_THAT(end.mappings == 0 || thp != TN_OS_THP_NEVER, "space %u: %llu", i,
                    (unsigned long long)end.mappings);
        EXPECT(end.run_bytes == 0);
        EXPECT(terrane_space_destroy(spaces[i]) == 0);
    }
    return sum;
}

/* ---- cases, each in a child ---- */

static void with_all(void *context)
{
    (void)context;
    const struct terrane_stats stats = work(PRIVATE_);
    EXPECT_THAT(stats.moves > 0 || !features.move_keep, "no move");
    EXPECT(refusals == 0);
    if (features.memfd)
        (void)work(MEMFD);
}

static void with_huge_pages(void *context)
{
    features.thp = thp_found;
    features.thp_shared = TN_OS_THP_MADVISE; /* advice can be given even if none is followed */
    tn_os_features_override(&features);
    with_all(context);
}

static void without_move(void *context)
{
    (void)context;
    features.move_keep = features.move_keep_file = false;
    tn_os_features_override(&features);
    const struct terrane_stats stats = work(PRIVATE_);
    EXPECT(stats.moves == 0);
    EXPECT(stats.copies >= ARRAYS); /* each went from space to space at least */
    EXPECT(stats.copy_bytes >= ARRAYS * LAST);
    EXPECT(refusals == 0); /* what is known to be missing is not tried */
    EXPECT_THAT(!features.memfd || work(MEMFD).moves == 0, "moved");
}

/* A probe that was wrong: what it found is refused afterwards. */
static void without_move_unannounced(void *context)
{
    (void)context;
    features.move_keep = true;
    tn_os_features_override(&features);
    features.move_keep = false;
    const struct terrane_stats stats = work(PRIVATE_);
    EXPECT(refusals > 0);
    EXPECT(stats.moves == 0);
    EXPECT(stats.copy_bytes >= ARRAYS * LAST);
}

static void without_move_of_files(void *context)
{
    (void)context;
    features.move_keep_file = false;
    tn_os_features_override(&features);
    if (features.memfd)
        (void)work(MEMFD);
    (void)work(PRIVATE_);
}

static void without_populate(void *context)
{
    (void)context;
    features.populate = false;
    tn_os_features_override(&features);
    (void)work(PRIVATE_);
    EXPECT(refusals == 0);
}

static void without_memfd(void *context)
{
    (void)context;
    features.memfd = false;
    tn_os_features_override(&features);
    const struct terrane_space_options options = {.backing = MEMFD, .window_bytes = WINDOW};
    struct terrane_space *space = NULL;
    EXPECT(terrane_space_create(&options, &space) == -ENOTSUP);
    EXPECT(space == NULL);
    (void)work(PRIVATE_);
}

/* A write into the guard behind an object, which must not go through. */
static void write_behind(void *context)
{
    char *object = context;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer would report it */
    *(volatile char *)(object + terrane_usable_size(object)) = 1;
}

static void without_guard(void *context)
{
    (void)context;
    features.guard = false;
    tn_os_features_override(&features);
    struct terrane_space *space = space_make(PRIVATE_);
    struct terrane_heap *heap = NULL;
    const struct terrane_heap_options hardened = {.hardened = true};
    EXPECT(terrane_heap_create(space, &hardened, &heap) == 0);
    void *objects[GUARDED];
    for (size_t i = 0; i < GUARDED; i++) {
        objects[i] = terrane_heap_alloc(heap, FIRST);
        EXPECT(objects[i] != NULL);
        contents_write(objects[i], FIRST, i);
    }
    EXPECT(stats_of(space).mappings >= GUARDED); /* guards are mappings of their own now */
    EXPECT(refusals == 0);
    const int status = child_run(write_behind, objects[0]);
    EXPECT_THAT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "0x%x", (unsigned)status);
    for (size_t i = 0; i < GUARDED; i++) {
        EXPECT_INTACT(objects[i], FIRST, i);
        terrane_free(objects[i]);
    }
    terrane_heap_destroy(heap);
    (void)terrane_space_trim(space);
    EXPECT(stats_of(space).mappings == 0);
    EXPECT(terrane_space_destroy(space) == 0);
}

static void check_case(void (*run)(void *context))
{
    EXPECT(child_run(run, NULL) == 0);
}

#define CASE(name)                                                                                 \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        check_case(name);                                                                          \
    }
CASE(with_all)
CASE(with_huge_pages)
CASE(without_move)
CASE(without_move_unannounced)
CASE(without_move_of_files)
CASE(without_populate)
CASE(without_memfd)
CASE(without_guard)

int main(void)
{
    features = (struct tn_os_features){
        .move_keep = true, .populate = true, .guard = true, .memfd = true, .thp = TN_OS_THP_ALWAYS};
    features = *tn_os_features(); /* probed with nothing refused */
    thp_found = features.thp;
    features.thp = features.thp_shared = TN_OS_THP_NEVER;
    tn_os_features_override(&features);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_with_all),
        cmocka_unit_test(test_with_huge_pages),
        cmocka_unit_test(test_without_move),
        cmocka_unit_test(test_without_move_unannounced),
        cmocka_unit_test(test_without_move_of_files),
        cmocka_unit_test(test_without_populate),
        cmocka_unit_test(test_without_memfd),
        cmocka_unit_test(test_without_guard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
