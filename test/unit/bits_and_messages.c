/* The lowest floor against naive versions of itself: bits and orders, checked sizes, messages. */
#include "base/base.h"
#include "seeds.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define RANDOM_WORDS     2000
#define RANDOM_ROUNDINGS 200000

/* ---- bits ---- */

static bool run_starts_at(uint32_t bits, unsigned at, unsigned length)
{
    for (unsigned i = at; i < at + length; i++) {
        if (i >= 32 || (bits >> i & 1) == 0)
            return false;
    }
    return true;
}

static unsigned longest_run_naive(uint32_t bits)
{
    unsigned longest = 0, length = 0;
    for (unsigned i = 0; i < 32; i++) {
        length = (bits >> i & 1) != 0 ? length + 1 : 0;
        longest = length > longest ? length : longest;
    }
    return longest;
}

static void check_runs(uint32_t bits)
{
    assert_int_equal(tn_longest_run32(bits), longest_run_naive(bits));
    for (unsigned length = 1; length <= 32; length++) {
        uint32_t starts = 0;
        for (unsigned at = 0; at < 32; at++)
            starts |= (uint32_t)run_starts_at(bits, at, length) << at;
        if (tn_run_starts32(bits, length) != starts)
            fail_msg("runs of %u in 0x%08x", length, (unsigned)bits);
    }
}

/* Every word with up to two runs, then words of random density. */
static void test_runs(void **state)
{
    (void)state;
    struct seeds seeds = {seeds_announce("bits_and_messages")};
    check_runs(0);
    for (unsigned a = 0; a < 32; a++) {
        for (unsigned b = 1; a + b <= 32; b++)
            check_runs((uint32_t)(tn_mask32(b) << a));
    }
    for (unsigned i = 0; i < RANDOM_WORDS; i++) {
        const uint32_t x = (uint32_t)seeds_next(&seeds), y = (uint32_t)seeds_next(&seeds);
        check_runs(x);
        check_runs(x | y);
        check_runs(x & y);
        check_runs(x | y | (uint32_t)seeds_next(&seeds));
    }
}

static void test_masks(void **state)
{
    (void)state;
    uint64_t mask = 0;
    for (unsigned count = 0; count <= 64; count++) {
        assert_true(tn_mask64(count) == mask);
        if (count <= 32)
            assert_true(tn_mask32(count) == (uint32_t)mask);
        mask = mask << 1 | 1;
    }
}

static void test_single_bits(void **state)
{
    (void)state;
    struct seeds seeds = {1};
    for (unsigned bit = 0; bit < 64; bit++) {
        const uint64_t one = (uint64_t)1 << bit;
        const uint64_t noise = seeds_next(&seeds);
        assert_int_equal(tn_lowest_bit(one), bit);
        assert_int_equal(tn_highest_bit(one), bit);
        assert_int_equal(tn_lowest_bit(one | (noise & ~(one - 1))), bit);
        assert_int_equal(tn_highest_bit(one | (noise & (one - 1))), bit);
        assert_true(tn_is_power_of_two(one));
        if (bit > 0)
            assert_false(tn_is_power_of_two(one | 1));
    }
    assert_false(tn_is_power_of_two(0));
}

static void check_order(size_t n)
{
    unsigned order = 0;
    while (((size_t)1 << order) < n)
        order++;
    assert_int_equal(tn_order_up(n), order);
}

static void test_orders(void **state)
{
    (void)state;
    for (size_t n = 1; n < 5000; n++)
        check_order(n);
    for (unsigned order = 12; order < 63; order++) {
        const size_t power = (size_t)1 << order;
        check_order(power - 1);
        check_order(power);
        check_order(power + 1);
    }
    check_order((size_t)1 << 63);
}

static void test_rounding(void **state)
{
    (void)state;
    struct seeds seeds = {2};
    for (unsigned i = 0; i < RANDOM_ROUNDINGS; i++) {
        const size_t align = (size_t)1 << seeds_below(&seeds, 31);
        const size_t n = seeds_size(&seeds, 62);
        const size_t rest = n % align;
        assert_int_equal(tn_round_down(n, align), n - rest);
        assert_int_equal(tn_round_up(n, align), rest == 0 ? n : n - rest + align);
        assert_int_equal(tn_min(n, align), n < align ? n : align);
        assert_int_equal(tn_max(n, align), n < align ? align : n);
    }
}

/* ---- checked sizes ---- */

/* On overflow the result is left alone. */
static void test_checked_add(void **state)
{
    (void)state;
    size_t out = 77;
    assert_false(tn_size_add(SIZE_MAX, 1, &out));
    assert_false(tn_size_add(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, &out));
    assert_int_equal(out, 77);
    assert_true(tn_size_add(SIZE_MAX - 1, 1, &out));
    assert_true(out == SIZE_MAX);
    assert_true(tn_size_add(0, 0, &out));
    assert_int_equal(out, 0);
}

static void test_checked_mul(void **state)
{
    (void)state;
    size_t out = 77;
    const size_t root = (size_t)1 << 32;
    assert_false(tn_size_mul(root, root, &out));
    assert_false(tn_size_mul(SIZE_MAX, 2, &out));
    assert_false(tn_size_mul(SIZE_MAX / 3 + 1, 3, &out));
    assert_int_equal(out, 77);
    assert_true(tn_size_mul(SIZE_MAX / 3, 3, &out));
    assert_true(out == SIZE_MAX);
    assert_true(tn_size_mul(SIZE_MAX, 0, &out));
    assert_int_equal(out, 0);
}

static void test_checked_round_up(void **state)
{
    (void)state;
    size_t out = 77;
    assert_false(tn_size_round_up(SIZE_MAX, 2, &out));
    assert_false(tn_size_round_up(SIZE_MAX - 4094, 4096, &out));
    assert_int_equal(out, 77);
    assert_true(tn_size_round_up(SIZE_MAX - 4095, 4096, &out));
    assert_true(out == SIZE_MAX - 4095);
    assert_true(tn_size_round_up(1, 4096, &out));
    assert_int_equal(out, 4096);
    assert_true(tn_size_round_up(SIZE_MAX, 1, &out));
    assert_true(out == SIZE_MAX);
}

/* ---- messages ---- */

#define assert_formats(expected, ...)                                                              \
    do {                                                                                           \
        char text_[TN_MESSAGE_MAX];                                                                \
        const size_t length_ = tn_format(text_, sizeof(text_), __VA_ARGS__);                       \
        assert_string_equal(text_, expected);                                                      \
        assert_int_equal(length_, strlen(expected));                                               \
    } while (0)

static void test_format(void **state)
{
    (void)state;
    assert_formats("", "%s", "");
    assert_formats("a%b", "a%%b");
    assert_formats("(null)", "%s", (const char *)NULL);
    assert_formats("0x0", "%p", NULL);
    assert_formats("0xfedcba9876543210", "%p", (void *)0xfedcba9876543210u);
    assert_formats("18446744073709551615 0", "%z %z", SIZE_MAX, (size_t)0);
    assert_formats("-2147483648 -1 0 2147483647", "%d %d %d %d", INT_MIN, -1, 0, INT_MAX);
    assert_formats("4294967295", "%u", UINT_MAX);
    assert_formats("x: y (z:3)", "%s: %s (%s:%d)", "x", "y", "z", 3);
    assert_formats("50", "50%");
}

/* Never past the buffer, always terminated. */
static void test_format_cuts(void **state)
{
    (void)state;
    const char whole[] = "pointer 0x1234 of 99";
    for (size_t size = 1; size <= sizeof(whole); size++) {
        char text[sizeof(whole) + 1];
        memset(text, '#', sizeof(text));
        const size_t length = tn_format(text, size, "pointer %p of %z", (void *)0x1234, (size_t)99);
        assert_int_equal(length, size - 1);
        assert_memory_equal(text, whole, length);
        assert_int_equal(text[length], '\0');
        assert_int_equal(text[size], '#');
    }
}

/* What tn_warn writes to standard error, read back through a pipe. */
static size_t warned(char *text, size_t size, const char *argument)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
    errno = ERANGE;
    tn_warn("%s", argument);
    const int error = errno;
    assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
    close(saved);
    close(ends[1]);
    const ssize_t got = read(ends[0], text, size);
    close(ends[0]);
    assert_int_equal(error, ERANGE);
    assert_true(got >= 0);
    return (size_t)got;
}

static void test_warn(void **state)
{
    (void)state;
    char text[4 * TN_MESSAGE_MAX];
    const char expected[] = "terrane: all is well\n";
    assert_int_equal(warned(text, sizeof(text), "all is well"), sizeof(expected) - 1);
    assert_memory_equal(text, expected, sizeof(expected) - 1);
    char endless[2 * TN_MESSAGE_MAX];
    memset(endless, 'x', sizeof(endless) - 1);
    endless[sizeof(endless) - 1] = '\0';
    const size_t length = warned(text, sizeof(text), endless);
    assert_in_range(length, TN_MESSAGE_MAX - 2, TN_MESSAGE_MAX);
    assert_int_equal(text[length - 1], '\n');
    assert_int_equal(text[length - 2], 'x');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_runs),        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_single_bits), cmocka_unit_test(test_orders),
        cmocka_unit_test(test_rounding),    cmocka_unit_test(test_checked_add),
        cmocka_unit_test(test_checked_mul), cmocka_unit_test(test_checked_round_up),
        cmocka_unit_test(test_format),      cmocka_unit_test(test_format_cuts),
        cmocka_unit_test(test_warn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL) == 0 ? 0 : 1;
}
