/* Typed vectors on regions: what does not fit is refused and changes nothing, growth happens in
 * reserve alone and keeps every item, and reserve tells the truth about moved items. */
#include "api_test.h"

#include <terrane/vector.h>

struct sample {
    uint64_t index;
    uint64_t square;
    unsigned char padding[8]; /* 24 bytes: no power of two, so that a region has room left over */
};

TERRANE_VECTOR(samples, struct sample);
TERRANE_VECTOR(bytes, unsigned char);

static struct sample sample_of(uint64_t index)
{
    return (struct sample){.index = index, .square = index * index, .padding = {7}};
}

static void assert_samples(const struct samples *vector)
{
    for (size_t i = 0; i < vector->count; i++) {
        assert_int_equal(samples_at(vector, i)->index, i);
        assert_int_equal(samples_at(vector, i)->square, (uint64_t)i * i);
    }
}

static void fill(struct samples *vector)
{
    while (vector->count < vector->capacity)
        assert_int_equal(samples_push(vector, sample_of(vector->count)), 0);
}

static void full_vectors_refuse(void **state)
{
    (void)state;
    struct samples vector = {0};
    const struct sample three[3] = {sample_of(0), sample_of(1), sample_of(2)};
    assert_int_equal(samples_push(&vector, three[0]), -ENOSPC);
    assert_int_equal(samples_acquire(&vector, NULL, 1000), 0);
    assert_true(vector.capacity >= 1000);
    assert_true(vector.capacity * sizeof(struct sample) <= vector.region.capacity);
    fill(&vector);
    assert_int_equal(samples_push(&vector, three[0]), -ENOSPC);
    assert_int_equal(samples_append(&vector, three, 1), -ENOSPC);
    assert_int_equal(vector.count, vector.capacity);
    assert_samples(&vector);
    samples_clear(&vector);
    assert_int_equal(vector.count, 0);
    assert_int_equal(samples_append(&vector, three, 3), 0);
    assert_samples(&vector);
    samples_release(&vector);
    assert_null(vector.data);
    assert_int_equal(vector.count + vector.capacity, 0);
    samples_release(&vector);
}

static void appends_are_whole(void **state)
{
    (void)state;
    struct bytes vector = {0};
    assert_int_equal(bytes_acquire(&vector, NULL, 1), 0);
    unsigned char *many = malloc(vector.capacity + 1);
    assert_non_null(many);
    const volatile size_t endless = SIZE_MAX; /* the compiler would warn of it */
    memset(many, 5, vector.capacity + 1);
    assert_int_equal(bytes_append(&vector, many, vector.capacity + 1), -ENOSPC);
    assert_int_equal(bytes_append(&vector, many, endless), -ENOSPC);
    assert_int_equal(vector.count, 0);
    assert_int_equal(bytes_append(&vector, NULL, 0), 0);
    assert_int_equal(bytes_append(&vector, many, vector.capacity), 0);
    assert_int_equal(bytes_push(&vector, 1), -ENOSPC);
    assert_memory_equal(vector.data, many, vector.capacity);
    free(many);
    bytes_release(&vector);
}

static void reserve_keeps_items(struct terrane_space *space, enum terrane_backing backing)
{
    struct samples vector = {0};
    (void)backing;
    assert_int_equal(samples_acquire(&vector, space, 10), 0);
    for (size_t capacity = vector.capacity + 1; capacity < 400000; capacity *= 3) {
        fill(&vector);
        const struct sample *before = vector.data;
        const size_t count = vector.count;
        bool moved = false;
        assert_int_equal(samples_reserve(&vector, capacity, &moved), 0);
        assert_true(vector.capacity >= capacity);
        assert_int_equal(vector.count, count);
        assert_int_equal(moved, vector.data != before);
        assert_samples(&vector);
    }
    const size_t capacity = vector.capacity;
    bool moved = true;
    assert_int_equal(samples_reserve(&vector, 5, &moved), 0);
    assert_false(moved);
    assert_int_equal(samples_reserve(&vector, capacity, NULL), 0);
    assert_int_equal(vector.capacity, capacity);
    samples_release(&vector);
}

static void items_survive_growth(void **state)
{
    (void)state;
    on_each_backing(reserve_keeps_items);
}

static void lookups_end_at_count(void **state)
{
    (void)state;
    struct samples vector = {0};
    assert_null(samples_at(&vector, 0));
    assert_int_equal(samples_acquire(&vector, NULL, 2), 0);
    assert_null(samples_at(&vector, 0));
    assert_int_equal(samples_push(&vector, sample_of(0)), 0);
    assert_ptr_equal(samples_at(&vector, 0), vector.data);
    assert_null(samples_at(&vector, 1));
    assert_null(samples_at(&vector, SIZE_MAX));
    samples_release(&vector);
}

static void impossible_sizes_change_nothing(void **state)
{
    (void)state;
    struct samples vector = {0};
    bool moved = false;
    assert_int_equal(samples_acquire(&vector, NULL, SIZE_MAX / 2), -ENOMEM);
    assert_int_equal(samples_acquire(&vector, NULL, SIZE_MAX / sizeof(struct sample)), -ENOMEM);
    assert_null(vector.data);
    assert_int_equal(samples_reserve(&vector, 1, &moved), -EINVAL);
    assert_int_equal(samples_acquire(&vector, NULL, 100), 0);
    fill(&vector);
    const struct samples before = vector;
    assert_int_equal(samples_reserve(&vector, SIZE_MAX / 2, &moved), -ENOMEM);
    assert_int_equal(samples_reserve(&vector, SIZE_MAX / sizeof(struct sample), &moved), -ENOMEM);
    assert_memory_equal(&before, &vector, sizeof(vector));
    assert_samples(&vector);
    samples_release(&vector);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_vectors_refuse),
        cmocka_unit_test(appends_are_whole),
        cmocka_unit_test(items_survive_growth),
        cmocka_unit_test(lookups_end_at_count),
        cmocka_unit_test(impossible_sizes_change_nothing),
    };
    return RUN_TESTS(tests);
}
