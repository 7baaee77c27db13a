/* The same crimes against the library: terrane_free, terrane_heap_resize, terrane_resize_in_place,
 * terrane_heap_move and terrane_usable_size on what is no object, on its inside, and after its
 * free. */
#include "contents.h"
#include "misuse.h"
#include "test_threads.h"

#include <terrane/terrane.h>

static struct terrane_heap *heap_get(bool hardened)
{
    const struct terrane_heap_options options = {.hardened = hardened};
    struct terrane_heap *heap = NULL;
    EXPECT(terrane_heap_create(NULL, &options, &heap) == 0);
    return heap;
}

static char *object_get(struct terrane_heap *heap, size_t size)
{
    char *object = terrane_heap_alloc(heap, size);
    EXPECT(object != NULL);
    contents_write(object, size, 1);
    return object;
}

static void *gone(struct terrane_heap *heap, size_t size)
{
    void *object = accused(object_get(heap, size));
    terrane_free(object);
    return hidden(object);
}

static void free_twice(size_t size)
{
    terrane_free(gone(heap_get(false), size));
}

static void free_twice_hardened(size_t size)
{
    terrane_free(gone(heap_get(true), size));
}

static void resize_freed(size_t size)
{
    struct terrane_heap *heap = heap_get(false);
    terrane_free(terrane_heap_resize(heap, gone(heap, size), 2 * size));
}

static void resize_freed_in_place(size_t size)
{
    EXPECT(terrane_resize_in_place(gone(heap_get(false), size), size / 2) == 0);
}

static void move_freed(size_t size)
{
    struct terrane_heap *heap = heap_get(false);
    void *object = gone(heap_get(false), size);
    EXPECT(terrane_heap_move(heap, &object) == 0);
}

static void usable_size_of_freed(size_t size)
{
    printf("%zu\n", terrane_usable_size(gone(heap_get(false), size)));
}

static void free_of_destroyed_heap(size_t size)
{
    struct terrane_heap *heap = heap_get(false);
    void *object = accused(object_get(heap, size));
    terrane_heap_destroy(heap);
    terrane_free(object);
}

static void free_foreign(size_t size)
{
    char local[64];
    terrane_free(object_get(heap_get(false), size));
    terrane_free(accused(local + 16));
}

/* The other malloc of this very process. */
static void free_malloced(size_t size)
{
    terrane_free(accused(malloc(hidden_size(size))));
}

static void resize_foreign(size_t size)
{
    char local[64];
    terrane_free(terrane_heap_resize(heap_get(false), accused(local + 16), size));
}

static void resize_foreign_in_place(size_t size)
{
    char local[64];
    EXPECT(terrane_resize_in_place(accused(local + 16), size) == 0);
}

static void move_foreign(size_t size)
{
    char local[64];
    void *object = accused(local + size);
    EXPECT(terrane_heap_move(heap_get(false), &object) == 0);
}

static void usable_size_of_foreign(size_t size)
{
    char local[64];
    printf("%zu\n", terrane_usable_size(accused(local + size)));
}

static void free_inside(size_t size)
{
    terrane_free(accused(object_get(heap_get(false), size) + size / 2));
}

static void resize_inside(size_t size)
{
    struct terrane_heap *heap = heap_get(false);
    terrane_free(terrane_heap_resize(heap, accused(object_get(heap, size) + size / 2), size));
}

static void resize_inside_in_place(size_t size)
{
    EXPECT(terrane_resize_in_place(accused(object_get(heap_get(false), size) + size / 2), 8) == 0);
}

static void move_inside(size_t size)
{
    void *object = accused(object_get(heap_get(false), size) + size / 2);
    EXPECT(terrane_heap_move(heap_get(false), &object) == 0);
}

static void usable_size_of_inside(size_t size)
{
    printf("%zu\n", terrane_usable_size(accused(object_get(heap_get(false), size) + size / 2)));
}

static void *free_it(void *context)
{
    terrane_free(hidden(context));
    return NULL;
}

static void free_inside_in_thread(size_t size)
{
    thread_run(free_it, accused(object_get(heap_get(false), size) + size / 2));
}

static void free_twice_in_thread(size_t size)
{
    void *object = accused(object_get(heap_get(true), size));
    thread_run(free_it, object);
    thread_run(free_it, object);
}

static void overflow(size_t size)
{
    char *object = accused(object_get(heap_get(true), size));
    object[terrane_usable_size(object)] ^= 1;
    terrane_free(object);
}

static void overflow_freed_in_thread(size_t size)
{
    char *object = accused(object_get(heap_get(true), size));
    object[terrane_usable_size(object)] ^= 1;
    thread_run(free_it, object);
}

/* The owner first, whose quarantine no other thread can look into. */
static void free_then_in_thread(size_t size)
{
    thread_run(free_it, gone(heap_get(true), size));
}

static void write_after_free(size_t size)
{
    struct terrane_heap *heap = heap_get(true);
    char *object = gone(heap, size);
    object[size / 2] ^= 1;
    for (int i = 0; i < 5000; i++)
        terrane_free(object_get(heap, size));
}

/* Destroying a hardened heap looks at what is still in quarantine. */
static void write_after_free_found_by_trim(size_t size)
{
    struct terrane_heap *heap = heap_get(true);
    char *object = gone(heap, size);
    object[size / 2] ^= 1;
    terrane_heap_trim(heap);
}

static const struct misuse_case cases[] = {
    {"free-twice-large", MESSAGE_DOUBLE, free_twice, LARGE, false},
    {"free-twice-huge", MESSAGE_DOUBLE, free_twice, HUGE_, false},
    {"free-twice-small-hardened", MESSAGE_DOUBLE, free_twice_hardened, SMALL, false},
    {"free-twice-medium-hardened", MESSAGE_DOUBLE, free_twice_hardened, MEDIUM, false},
    {"free-twice-large-hardened", MESSAGE_DOUBLE, free_twice_hardened, LARGE, false},
    {"free-twice-in-thread", MESSAGE_DOUBLE, free_twice_in_thread, SMALL, false},
    {"free-then-in-thread", MESSAGE_DOUBLE, free_then_in_thread, SMALL, false},
    {"resize-freed", MESSAGE_DOUBLE, resize_freed, LARGE, false},
    {"resize-freed-in-place", MESSAGE_DOUBLE, resize_freed_in_place, LARGE, false},
    {"move-freed", MESSAGE_DOUBLE, move_freed, LARGE, false},
    {"usable-size-of-freed", MESSAGE_DOUBLE, usable_size_of_freed, LARGE, false},
    {"free-of-destroyed-heap-small", MESSAGE_DOUBLE, free_of_destroyed_heap, SMALL, false},
    {"free-of-destroyed-heap-large", MESSAGE_DOUBLE, free_of_destroyed_heap, LARGE, false},
    {"free-foreign", MESSAGE_FOREIGN, free_foreign, 100, false},
    {"free-malloced", MESSAGE_FOREIGN, free_malloced, 100, false},
    {"resize-foreign", MESSAGE_FOREIGN, resize_foreign, 100, false},
    {"resize-foreign-in-place", MESSAGE_FOREIGN, resize_foreign_in_place, 100, false},
    {"move-foreign", MESSAGE_FOREIGN, move_foreign, 16, false},
    {"usable-size-of-foreign", MESSAGE_FOREIGN, usable_size_of_foreign, 16, false},
    {"free-inside-small", MESSAGE_INSIDE, free_inside, SMALL, false},
    {"free-inside-medium", MESSAGE_INSIDE, free_inside, MEDIUM, false},
    {"free-inside-large", MESSAGE_INSIDE, free_inside, LARGE, false},
    {"free-inside-huge", MESSAGE_INSIDE, free_inside, HUGE_, false},
    {"free-inside-in-thread", MESSAGE_INSIDE, free_inside_in_thread, SMALL, false},
    {"resize-inside-small", MESSAGE_INSIDE, resize_inside, SMALL, false},
    {"resize-inside-large", MESSAGE_INSIDE, resize_inside, LARGE, false},
    {"resize-inside-in-place-small", MESSAGE_INSIDE, resize_inside_in_place, SMALL, false},
    {"resize-inside-in-place-large", MESSAGE_INSIDE, resize_inside_in_place, LARGE, false},
    {"move-inside-small", MESSAGE_INSIDE, move_inside, SMALL, false},
    {"move-inside-large", MESSAGE_INSIDE, move_inside, LARGE, false},
    {"usable-size-of-inside-small", MESSAGE_INSIDE, usable_size_of_inside, SMALL, false},
    {"usable-size-of-inside-large", MESSAGE_INSIDE, usable_size_of_inside, LARGE, false},
    {"overflow-small", MESSAGE_PAST_END("40"), overflow, SMALL, false},
    {"overflow-medium", MESSAGE_PAST_END("3064"), overflow, MEDIUM, false},
    {"overflow-freed-in-thread", MESSAGE_PAST_END("40"), overflow_freed_in_thread, SMALL, false},
    {"write-after-free", MESSAGE_AFTER_FREE, write_after_free, SMALL, false},
    {"write-after-free-found-by-trim", MESSAGE_AFTER_FREE, write_after_free_found_by_trim, SMALL,
     false},
};

MISUSE_MAIN(cases)
