/* Crimes with arrays: references that were given back already. */
#include "misuse.h"

#include <terrane/array.h>

static struct terrane_array *gone(size_t size, unsigned flags)
{
    struct terrane_array *array;
    EXPECT(terrane_array_create(NULL, 1, flags, &array) == 0);
    EXPECT(terrane_array_resize(&array, size) == 0);
    struct terrane_array *other = accused(array);
    terrane_array_release(array);
    return other;
}

static void release_twice(size_t size)
{
    terrane_array_release(gone(size, 0));
}

static void release_twice_atomic(size_t size)
{
    terrane_array_release(gone(size, TERRANE_ARRAY_ATOMIC));
}

static void reference_released(size_t size)
{
    (void)terrane_array_reference(gone(size, 0));
}

#define MESSAGE_RELEASED "terrane: invalid array: pointer <pointer> was released before"

static const struct misuse_case cases[] = {
    {"release-twice", MESSAGE_RELEASED, release_twice, MEDIUM, false},
    {"release-twice-huge", MESSAGE_RELEASED, release_twice, HUGE_, false},
    {"release-twice-atomic", MESSAGE_RELEASED, release_twice_atomic, MEDIUM, false},
    {"reference-released", MESSAGE_RELEASED, reference_released, LARGE, false},
};

MISUSE_MAIN(cases)
