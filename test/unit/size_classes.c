/* The tables of size classes, computed anew from the rules in classes.h and classes.c, and the
 * arithmetic on them for every offset and size that it is promised for. */
#include "heap/classes.h"

#include "base/base.h"
#include "space/space.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MINIPAGE      ((size_t)2048)
#define OFFSETS       ((uint32_t)1 << 16)
#define CACHE_SLOTS   ((size_t)256)
#define HEADED_PAGE   ((size_t)4608) /* a class beside the steps: 4 KiB and a header */
#define ALIGNED_FROM  ((size_t)4096)
#define SLOTS_WANTED  4u
#define WASTE_DIVISOR 40u

/* The size of the class after one of `size`: steps of 16 up to 128, then four a doubling. */
static size_t next_size(size_t size)
{
    if (size == HEADED_PAGE)
        return size + 512;
    const size_t next = size < 128 ? size + 16 : size + ((size_t)1 << tn_highest_bit(size)) / 4;
    return size < HEADED_PAGE && next > HEADED_PAGE ? HEADED_PAGE : next;
}

static size_t cached_slots(size_t size)
{
    if (size > 2048)
        return 2;
    const size_t bytes = size <= 256 ? 24 * TN_KIB : size <= 1024 ? 16 * TN_KIB : 4 * TN_KIB;
    return tn_min(CACHE_SLOTS, bytes / size);
}

static bool span_serves(size_t size, size_t minipages)
{
    const size_t bytes = minipages * MINIPAGE;
    const size_t waste = bytes % size;
    return bytes >= size &&
           (waste == 0 || (waste * WASTE_DIVISOR <= bytes && bytes / size >= SLOTS_WANTED));
}

static size_t shortest_span(size_t size)
{
    size_t minipages = 1;
    while (!span_serves(size, minipages))
        minipages++;
    return minipages;
}

static void test_sizes(void **state)
{
    (void)state;
    size_t size = 16;
    for (unsigned class = 1; class < TN_CLASSES; class ++, size = next_size(size))
        assert_int_equal(tn_classes[class].size, size);
    assert_int_equal(tn_classes[TN_CLASSES - 1].size, TN_SMALL_MAX);
    assert_int_equal(TN_SMALL_MAX * 2, TN_BLOCK_BYTES);
}

static void test_other_columns(void **state)
{
    (void)state;
    for (unsigned class = 1; class < TN_CLASSES; class ++) {
        const struct tn_class *row = &tn_classes[class];
        const size_t size = row->size;
        const bool aligned = tn_is_power_of_two(size) && size >= ALIGNED_FROM;
        assert_int_equal(row->magic, (((uint64_t)1 << 32) + size - 1) / size);
        assert_int_equal(row->span, shortest_span(size));
        assert_in_range(row->span, 1, TN_BLOCK_BYTES / MINIPAGE);
        assert_int_equal(row->align, aligned ? size / MINIPAGE : 1);
        assert_int_equal(row->cached, cached_slots(size));
    }
}

static void test_division(void **state)
{
    (void)state;
    for (unsigned class = 1; class < TN_CLASSES; class ++) {
        const uint32_t size = tn_classes[class].size;
        const uint32_t magic = tn_classes[class].magic;
        for (uint32_t offset = 0; offset < OFFSETS; offset++) {
            if (tn_slot_of(offset, magic) != offset / size ||
                tn_is_slot_start(offset, magic) != (offset % size == 0))
                fail_msg("offset %u among slots of %u bytes", offset, size);
        }
    }
}

/* Class 0 is what foreign memory and large objects have: nothing starts a slot of it. */
static void test_no_class(void **state)
{
    (void)state;
    assert_int_equal(TN_CLASS_NONE, 0);
    assert_int_equal(tn_classes[TN_CLASS_NONE].size, 0);
    for (uint32_t offset = 0; offset < OFFSETS; offset++)
        assert_false(tn_is_slot_start(offset, tn_classes[TN_CLASS_NONE].magic));
}

static void test_class_of(void **state)
{
    (void)state;
    unsigned class = 1;
    for (size_t size = 0; size <= TN_SMALL_MAX; size++) {
        if (size > tn_classes[class].size)
            class ++;
        assert_int_equal(tn_class_of(size), class);
        assert_int_equal(tn_cache_offset(size), 32 * class);
    }
}

/* Both tables row by row: the wide one also where the other is asked. */
static void test_tables(void **state)
{
    (void)state;
    for (size_t row = 0; row < TN_ARRAY_COUNT(tn_cache_table); row++)
        assert_int_equal(tn_cache_table[row], 32 * tn_class_of(row * 16));
    for (size_t row = 0; row < TN_ARRAY_COUNT(tn_cache_table_wide); row++)
        assert_int_equal(tn_cache_table_wide[row], 32 * tn_class_of(row * 128));
    assert_int_equal(TN_ARRAY_COUNT(tn_cache_table), TN_TABLE_MAX / 16 + 1);
    assert_int_equal(TN_ARRAY_COUNT(tn_cache_table_wide), TN_SMALL_MAX / 128 + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),    cmocka_unit_test(test_other_columns),
        cmocka_unit_test(test_division), cmocka_unit_test(test_no_class),
        cmocka_unit_test(test_class_of), cmocka_unit_test(test_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
