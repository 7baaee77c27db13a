/* Faults on demand; see os_fault.h. One wrapper a verb: counts, fails if armed, else calls the real
 * one. */
#include "os/os_fault.h"

#include "os/os.h"

#include <stdatomic.h>

/* X(verb, declaration of its parameters, their names) for every verb that can fail. */
#define VERBS(X)                                                                                   \
    X(reserve, (size_t size, size_t front, size_t align, void **out), (size, front, align, out))   \
    X(release, (void *addr, size_t size), (addr, size))                                            \
    X(commit, (void *addr, size_t size), (addr, size))                                             \
    X(map_private, (void *addr, size_t size), (addr, size))                                        \
    X(map_file, (void *addr, size_t size, int fd, uint64_t offset), (addr, size, fd, offset))      \
    X(vacate, (void *addr, size_t size), (addr, size))                                             \
    X(allocate, (size_t size, void **out), (size, out))                                            \
    X(discard, (void *addr, size_t size), (addr, size))                                            \
    X(populate, (void *addr, size_t size), (addr, size))                                           \
    X(move, (void *from, void *to, size_t size), (from, to, size))                                 \
    X(protect, (void *addr, size_t size, enum tn_os_access access), (addr, size, access))          \
    X(place, (void *addr, size_t size, unsigned node), (addr, size, node))                         \
    X(advise_huge, (void *addr, size_t size, bool wanted), (addr, size, wanted))                   \
    X(guard, (void *addr, size_t size), (addr, size))                                              \
    X(unguard, (void *addr, size_t size), (addr, size))                                            \
    X(lock_all, (int flags), (flags))                                                              \
    X(resident, (void *addr, size_t size, unsigned char *out), (addr, size, out))                  \
    X(unmap_pages, (void *addr, size_t size), (addr, size))                                        \
    X(mapped_pages, (const void *addr, size_t size, size_t *pages), (addr, size, pages))           \
    X(advise_single, (void *addr, size_t size), (addr, size))                                      \
    X(file_memfd, (const char *name, size_t huge, int *fd), (name, huge, fd))                      \
    X(file_scratch, (const char *dir, int *fd), (dir, fd))                                         \
    X(file_open, (const char *path, bool create, int *fd), (path, create, fd))                     \
    X(file_create, (const char *path, int *fd), (path, fd))                                        \
    X(file_resize, (int fd, uint64_t size), (fd, size))                                            \
    X(file_reserve, (int fd, uint64_t offset, uint64_t size), (fd, offset, size))                  \
    X(file_punch, (int fd, uint64_t offset, uint64_t size), (fd, offset, size))                    \
    X(file_cached, (int fd, uint64_t offset, uint64_t size, struct tn_os_cached *out),             \
      (fd, offset, size, out))                                                                     \
    X(file_backed, (int fd, uint64_t offset, uint64_t size, bool *backed),                         \
      (fd, offset, size, backed))                                                                  \
    X(file_taken, (int fd, uint64_t *bytes), (fd, bytes))                                          \
    X(file_write_out, (int fd, uint64_t offset, uint64_t size, bool wait),                         \
      (fd, offset, size, wait))                                                                    \
    X(file_drop, (int fd, uint64_t offset, uint64_t size), (fd, offset, size))                     \
    X(file_read, (int fd, void *buffer, size_t size, size_t *got), (fd, buffer, size, got))        \
    X(file_write, (int fd, const void *buffer, size_t size), (fd, buffer, size))                   \
    X(file_map_shared, (int fd, size_t size, void **out), (fd, size, out))                         \
    X(file_duplicate, (int fd, int *out), (fd, out))                                               \
    X(user_file_size, (int fd, uint64_t *bytes), (fd, bytes))                                      \
    X(user_file_map, (void *addr, size_t size, const struct tn_os_file_part *part),                \
      (addr, size, part))                                                                          \
    X(user_file_read, (int fd, void *buffer, size_t size, uint64_t offset, size_t *got),           \
      (fd, buffer, size, offset, got))                                                             \
    X(user_file_write, (int fd, const void *buffer, size_t size, uint64_t offset),                 \
      (fd, buffer, size, offset))

#define INDEX(verb, parameters, names) VERB_##verb,
enum verb { VERBS(INDEX) VERB_COUNT };
#undef INDEX

#define NAME(verb, parameters, names) #verb,
const char *const tn_fault_verb_names[] = {VERBS(NAME)};
#undef NAME
const int tn_fault_verb_count = VERB_COUNT;

/* Relaxed: tests that count exactly have one thread. */
static _Atomic long calls[VERB_COUNT];
static _Atomic long calls_all;
static _Atomic int armed_verb = -2; /* -2: none, -1: any */
static _Atomic long armed_nth;
static _Atomic int armed_error;

void tn_fault_arm(int verb, long nth, int error)
{
    for (int i = 0; i < VERB_COUNT; i++)
        atomic_store_explicit(&calls[i], 0, memory_order_relaxed);
    atomic_store_explicit(&calls_all, 0, memory_order_relaxed);
    atomic_store_explicit(&armed_nth, nth, memory_order_relaxed);
    atomic_store_explicit(&armed_error, error, memory_order_relaxed);
    atomic_store_explicit(&armed_verb, verb, memory_order_relaxed);
}

void tn_fault_disarm(void)
{
    atomic_store_explicit(&armed_verb, -2, memory_order_relaxed);
}

long tn_fault_calls(int verb)
{
    return atomic_load_explicit(verb < 0 ? &calls_all : &calls[verb], memory_order_relaxed);
}

/* 0, or the negative error that this call is to return. */
static int fault(enum verb verb)
{
    const long of_verb = atomic_fetch_add_explicit(&calls[verb], 1, memory_order_relaxed) + 1;
    const long of_all = atomic_fetch_add_explicit(&calls_all, 1, memory_order_relaxed) + 1;
    const int armed = atomic_load_explicit(&armed_verb, memory_order_relaxed);
    const long nth = atomic_load_explicit(&armed_nth, memory_order_relaxed);
    if (armed != -1 && armed != (int)verb)
        return 0;
    if (nth != 0 && nth != (armed == -1 ? of_all : of_verb))
        return 0;
    return -atomic_load_explicit(&armed_error, memory_order_relaxed);
}

#define WRAP(verb, parameters, names)                                                              \
    int __real_tn_os_##verb parameters;                                                            \
    int __wrap_tn_os_##verb parameters;                                                            \
    int __wrap_tn_os_##verb parameters                                                             \
    {                                                                                              \
        const int error = fault(VERB_##verb);                                                      \
        return error != 0 ? error : __real_tn_os_##verb names;                                     \
    }
VERBS(WRAP)
