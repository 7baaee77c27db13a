/* Heaps: objects of any size from 16 bytes up, in one space.
 *
 * A heap has one owner at a time: the thread that created or adopted it. The owner allocates and
 * frees without atomics. Any thread may free any object with terrane_free. Metadata lies in
 * descriptors in front of the space's window, never inside or next to the objects. */
#ifndef TERRANE_HEAP_H
#define TERRANE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <terrane/space.h>
#include <terrane/version.h>

#ifdef __cplusplus
extern "C" {
#endif

struct terrane_heap;

/* What a heap's objects are. Fixed for a heap at its creation. */
enum terrane_kind {
    TERRANE_KIND_RAW,    /* opaque bytes */
    TERRANE_KIND_TYPED,  /* traced by a collector; here only marked */
    TERRANE_KIND_PINNED, /* never moved: resize and move of large ones copy or fail */
};

struct terrane_heap_options {
    enum terrane_kind kind;
    unsigned fresh_ratio; /* of 100 span refills, how many take a fresh span although a partly used
                             one exists; 0 (default): reuse first; at most 100 */
    bool hardened; /* bitmap-checked double frees, canaries, quarantine, random slots, guards */
};

/* Creates a heap in `space` (NULL: the default space), owned by the calling thread.
 * `options` may be NULL. Errors: -EINVAL, -ENOMEM, -EAGAIN (too many heaps). */
TERRANE_API int terrane_heap_create(struct terrane_space *space,
                                    const struct terrane_heap_options *options,
                                    struct terrane_heap **out);

/* Frees every object of the heap and the heap. Owner only. NULL is ignored. */
TERRANE_API void terrane_heap_destroy(struct terrane_heap *heap);

/* Leaves the heap without an owner; its objects stay valid and may be freed by anyone. Owner only.
 */
TERRANE_API void terrane_heap_abandon(struct terrane_heap *heap);

/* Makes the calling thread the owner of an abandoned heap. Errors: -EBUSY (it has an owner). */
TERRANE_API int terrane_heap_adopt(struct terrane_heap *heap);

/* An object of at least `size` bytes (0 counts as 1), aligned to 16. Owner only.
 * NULL and errno ENOMEM when memory, addresses or the space's limit are used up.
 * Cost: constant; below half a block no system call except when a fresh block is needed. */
TERRANE_API void *terrane_heap_alloc(struct terrane_heap *heap, size_t size);

/* The same, all bytes zero. */
TERRANE_API void *terrane_heap_alloc_zeroed(struct terrane_heap *heap, size_t size);

/* The same, aligned to `align`, a power of two up to 1 GiB; else NULL and errno EINVAL. */
TERRANE_API void *terrane_heap_alloc_aligned(struct terrane_heap *heap, size_t align, size_t size);

/* Changes the size of `object`, which may belong to any heap and changes to `heap` if its address
 * changes. Contents up to the smaller size are kept. Tries in order: same class, in place,
 * remap (no copy), copy. NULL object: allocates. NULL result: errno ENOMEM and nothing changed.
 * Owner of `heap` only; nobody else may use the object meanwhile. */
TERRANE_API void *terrane_heap_resize(struct terrane_heap *heap, void *object, size_t size);

/* Resizes without changing the address: 0, or -ENOMEM / -ENOTSUP and nothing changed. */
TERRANE_API int terrane_resize_in_place(void *object, size_t size);

/* Gives `*object` to `heap`, which may lie in another space. Large objects in one space change
 * owner and keep their address; between private spaces they are remapped; small ones are copied.
 * `*object` is the new address. Owner of `heap` only.
 * Errors: -ENOMEM, -EPERM (pinned object would have to move); nothing changed. */
TERRANE_API int terrane_heap_move(struct terrane_heap *heap, void **object);

/* Frees an object of any heap, from any thread. NULL is ignored. errno is kept.
 * A foreign or misaligned pointer, or one freed before where that is detected, aborts. */
TERRANE_API void terrane_free(void *object);

/* Usable bytes of an object: at least what was asked for. 0 for NULL. */
TERRANE_API size_t terrane_usable_size(const void *object);

/* The heap that an object belongs to; NULL if `pointer` is not an object of any heap. */
TERRANE_API struct terrane_heap *terrane_heap_of(const void *pointer);

/* Collects remote frees, empties the caches and gives empty blocks back. Owner only. */
TERRANE_API void terrane_heap_trim(struct terrane_heap *heap);

/* Calls `visit` once for each live object, in address order within a block. Owner only, with no
 * other thread freeing into the heap. `visit` must not allocate from or free into the heap.
 * A non-zero result ends the walk and is returned; else 0. */
typedef int terrane_heap_visitor(void *object, size_t usable, void *context);
TERRANE_API int terrane_heap_walk(struct terrane_heap *heap, terrane_heap_visitor *visit,
                                  void *context);

/* Checks every structure of the heap and of its space; prints and aborts at the first breach.
 * Owner only, no other thread using the space. Cost: linear in the heap. */
TERRANE_API void terrane_heap_audit(struct terrane_heap *heap);

#ifdef __cplusplus
}
#endif

#endif
