/* The report's memory over time: bounded, and exact in mean and peak however often it is halved. */
#include "stats/report_series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define START_NS UINT64_C(5000000000)
#define MS       UINT64_C(1000000)

static struct tn_report_page page;

static int page_reset(void **state)
{
    (void)state;
    memset(&page, 0, sizeof(page));
    page.start_ns = START_NS;
    tn_series_init(&page);
    return 0;
}

/* What holds of a series at any time. */
static void series_audit(void)
{
    assert_in_range(page.slots_count, 1, TN_REPORT_SLOTS);
    uint64_t start = 0;
    uint64_t peak = 0;
    for (uint32_t i = 0; i < page.slots_count; i++) {
        const struct tn_report_slot *slot = &page.slots[i];
        assert_true(slot->end_ns > start);
        assert_true(slot->live_mean <= slot->live_peak);
        start = slot->end_ns;
        peak = slot->live_peak > peak ? slot->live_peak : peak;
    }
    assert_int_equal(start + START_NS, page.last_ns);
    assert_int_equal(peak, page.live_peak);
}

static uint64_t series_mean(void)
{
    double area = 0;
    uint64_t start = 0;
    for (uint32_t i = 0; i < page.slots_count; i++) {
        const struct tn_report_slot *slot = &page.slots[i];
        area += (double)slot->live_mean * (double)(slot->end_ns - start);
        start = slot->end_ns;
    }
    return (uint64_t)(area / (double)start);
}

/* A ramp from 0 to 1 GB over 10 000 seconds: mean one half, whatever was merged. */
static void test_ramp(void **state)
{
    (void)state;
    const uint64_t steps = 100000;
    for (uint64_t i = 1; i <= steps; i++) {
        tn_series_live_add(&page, 10000);
        tn_series_advance(&page, START_NS + i * 100 * MS, i);
    }
    series_audit();
    assert_true(page.slots_count > TN_REPORT_SLOTS / 2);
    assert_int_equal(page.live_peak, steps * 10000);
    assert_in_range(series_mean(), 499000000, 501000000);
    assert_int_equal(page.slots[page.slots_count - 1].resident_bytes, steps);
}

/* A peak between two samples is not lost, nor one that merging passes over. */
static void test_short_peak(void **state)
{
    (void)state;
    tn_series_live_add(&page, 5000);
    tn_series_advance(&page, START_NS + MS, 1);
    tn_series_live_add(&page, 700000);
    tn_series_live_add(&page, 0 - (uint64_t)700000);
    tn_series_advance(&page, START_NS + 2 * MS, 1);
    assert_int_equal(page.live_peak, 705000);
    for (uint64_t i = 3; i < 5000; i++)
        tn_series_advance(&page, START_NS + i * MS, 1);
    series_audit();
    assert_int_equal(page.slots[0].live_peak, 705000);
    assert_int_equal(page.live_peak, 705000);
    assert_in_range(series_mean(), 4950, 5300);
}

/* Random gaps from nanoseconds to seconds, and a clock that stands still now and then. */
static void test_random_times(void **state)
{
    (void)state;
    srand(7);
    uint64_t now = START_NS;
    for (unsigned i = 0; i < 200000; i++) {
        const unsigned order = (unsigned)rand() % 30;
        now += (uint64_t)rand() % ((uint64_t)1 << order);
        tn_series_live_add(&page, (uint64_t)(rand() % 2000) - 990);
        tn_series_advance(&page, now, 1);
        if (i % 1000 == 999)
            series_audit();
    }
    assert_true(page.next_ns > page.last_ns);
    assert_true(page.next_ns <= page.last_ns + 10 * MS);
}

/* Objects from before the counting are freed: live bytes stop at zero instead of wrapping. */
static void test_below_zero(void **state)
{
    (void)state;
    tn_series_live_add(&page, 0 - (uint64_t)1000);
    assert_int_equal(tn_series_live(&page), 0);
    tn_series_advance(&page, START_NS + MS, 1);
    assert_int_equal(page.live_peak, 0);
    assert_int_equal(page.slots[0].live_mean, 0);
    page.shards[3].live_pending = 1500;
    assert_int_equal(tn_series_live(&page), 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_ramp, page_reset),
        cmocka_unit_test_setup(test_short_peak, page_reset),
        cmocka_unit_test_setup(test_random_times, page_reset),
        cmocka_unit_test_setup(test_below_zero, page_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
