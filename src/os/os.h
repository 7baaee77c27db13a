/* The os floor: everything that terrane asks of the kernel, as verbs of memory management.
 *
 * Rules for all verbs that return int:
 *   - 0 is success, else a negative errno from the list at the verb; nothing has changed then.
 *   - Any errno outside the list is a bug of ours (a bad address, a bad flag): the port prints the
 *     call and aborts, so that callers handle exactly what is listed.
 *   - Ranges are page-aligned, non-empty and lie in a reservation of ours unless stated.
 * Verbs take no locks and allocate nothing. Only this folder has system calls; tests
 * replace single verbs at link time (os_fault.c makes the n-th call fail).
 *
 * -ENOMEM of a mapping verb means "no memory" or "too many mappings": the kernel does not tell them
 * apart, so callers treat both as an expected refusal. */
#ifndef TN_OS_H
#define TN_OS_H

#include "os/lock.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- features, probed once ---- */

enum tn_os_thp { TN_OS_THP_NEVER, TN_OS_THP_MADVISE, TN_OS_THP_ALWAYS };

/* What this machine has. Every false has a fallback, named in tn_os_feature_rows. */
struct tn_os_features {
    bool move_keep;            /* mremap leaves the source reserved (MREMAP_DONTUNMAP), Linux 5.7 */
    bool move_keep_file;       /* the same for shared file mappings, Linux 5.13 */
    bool populate;             /* MADV_POPULATE_WRITE, Linux 5.14 */
    bool guard;                /* MADV_GUARD_INSTALL, Linux 6.13 */
    bool memfd;                /* memfd_create, Linux 3.17 */
    bool cached;               /* cachestat, Linux 6.5 */
    enum tn_os_thp thp;        /* transparent huge pages */
    enum tn_os_thp thp_shared; /* the same for memory files */
    size_t huge_2m_free;       /* free pages in the 2 MiB pool at the time of the probe */
    size_t huge_1g_free;       /* the same for 1 GiB */
    size_t mappings_limit;     /* vm.max_map_count */
};

/* The probe's result; probes at the first call. Any thread. */
const struct tn_os_features *tn_os_features(void);

/* Pages of 2 MiB or 1 GiB that the machine's pool has free now. */
size_t tn_os_huge_pages_free(size_t page_bytes);

/* For tests: replaces the probe's result for the rest of the process. */
void tn_os_features_override(const struct tn_os_features *features);

/* One line of `terrane info`: a feature, whether it is there, and what is used without it. */
struct tn_os_feature_row {
    const char *name;
    const char *since;
    bool present;
    const char *fallback;
};

/* Fills up to `max` rows, returns how many there are. */
size_t tn_os_feature_rows(struct tn_os_feature_row *rows, size_t max);

/* Size of an ordinary page; no probe. */
size_t tn_os_page_bytes(void);

/* Memory nodes that this process may take pages from: the highest one plus one. 1 where all memory
 * is alike or nothing is known. Asks once. */
unsigned tn_os_nodes(void);

/* The memory node of the processor that the calling thread runs on. */
unsigned tn_os_node_now(void);

/* Bytes of RAM; no probe. */
size_t tn_os_memory_bytes(void);

/* Bytes of addresses that RLIMIT_AS leaves; SIZE_MAX without a limit. */
size_t tn_os_address_bytes_left(void);

/* Kernel mappings of this process right now, by counting; slow (tests and `terrane info`). */
size_t tn_os_mappings_count(void);

/* ---- addresses ---- */

/* Reserves `size` bytes of inaccessible addresses, of which those from `front` (whole pages) on are
 * aligned to `align` (a power of two). -ENOMEM. */
int tn_os_reserve(size_t size, size_t front, size_t align, void **out);

/* Gives a whole reservation, or any mapping of ours, back. -ENOMEM (it would split a mapping and
 * the limit is reached: the range stays as it was). */
int tn_os_release(void *addr, size_t size);

/* Makes a reserved range readable and writable private memory, all zero. -ENOMEM. */
int tn_os_commit(void *addr, size_t size);

/* Fresh private zero pages in place of whatever lies there; merges with its neighbours. -ENOMEM. */
int tn_os_map_private(void *addr, size_t size);

/* Maps a range of a file shared in place of whatever lies there. -ENOMEM, -ENOTSUP (no such file
 * can be mapped). */
int tn_os_map_file(void *addr, size_t size, int fd, uint64_t offset_bytes);

/* Takes everything from a range but its addresses: access is a fault. -ENOMEM. */
int tn_os_vacate(void *addr, size_t size);

/* New private memory anywhere, zero, page-aligned. For process-local state. -ENOMEM. */
int tn_os_allocate(size_t size, void **out);

/* ---- pages ---- */

/* Gives the pages of a private range back; it reads as zero afterwards. -ENOMEM. */
int tn_os_discard(void *addr, size_t size);

/* Faults all pages of a range in, writable, in one call. -ENOMEM, -ENOTSUP (no such verb here). */
int tn_os_populate(void *addr, size_t size);

/* Moves the pages of [from, from + size) to `to` by page table. The source stays reserved: a
 * private one reads as zero, a shared one still shows the file. Neither range may overlap the
 * other. -ENOMEM, -EFAULT (source spans several mappings: move its parts), -ENOTSUP (no such verb);
 * -ENOMEM for want of the kernel's own memory may leave the target unmapped. */
int tn_os_move(void *from, void *to, size_t size);

/* Says that a range will not be needed soon: its pages are the first to be swapped out. A hint: it
 * cannot fail. */
void tn_os_cool(void *addr, size_t size);

enum tn_os_access { TN_OS_NONE, TN_OS_READ, TN_OS_WRITE };

/* Sets what the process may do to a range. -ENOMEM. */
int tn_os_protect(void *addr, size_t size, enum tn_os_access access);

/* Takes the pages of a private or memfd range from one memory node as long as it has any. -ENOTSUP
 * (no such verb here, or a sandbox forbids it), -ENOMEM. */
int tn_os_place(void *addr, size_t size, unsigned node);

/* Asks for (or against) transparent huge pages. -ENOMEM, -ENOTSUP. */
int tn_os_advise_huge(void *addr, size_t size, bool wanted);

/* Makes pages fault on access without splitting a mapping; their contents are gone.
 * -ENOMEM, -ENOTSUP. */
int tn_os_guard(void *addr, size_t size);

/* Undoes tn_os_guard; pages read as zero. -ENOMEM, -ENOTSUP. */
int tn_os_unguard(void *addr, size_t size);

/* mlockall with these MCL_ flags, but that pages are locked when they are touched: what a window
 * has not used stays untouched. Whatever the system says: -ENOMEM, -EPERM, -EINVAL ... */
int tn_os_lock_all(int flags);

/* Names a private range in /proc/self/maps. A hint: it cannot fail. */
void tn_os_name(void *addr, size_t size, const char *name);

/* Writes for each page of the range whether it is resident: bit 0 of out[i]. -ENOMEM. */
int tn_os_resident(void *addr, size_t size, unsigned char *out);

/* Takes the pages of a shared file range out of the page tables of this process; the file keeps
 * them, and the next access finds them again. -ENOMEM, -EBUSY (the user has locked some). */
int tn_os_unmap_pages(void *addr, size_t size);

/* Counts the pages of a range that are in the page tables of this process: 0 after
 * tn_os_unmap_pages until somebody uses them. -ENOTSUP (no /proc, or a sandbox). */
int tn_os_mapped_pages(const void *addr, size_t size, size_t *pages);

/* Makes the kernel read a page of a shared file range that is not in memory alone, without what it
 * would read around it; where huge pages are wanted, their 2 MiB. -ENOMEM. */
int tn_os_advise_single(void *addr, size_t size);

/* ---- files ---- */

/* Descriptors are never those of the standard streams, even where these are closed. */

/* A memfd; huge_page_bytes 0, 2 MiB or 1 GiB. -ENOMEM, -EMFILE, -ENFILE, -ENOTSUP. */
int tn_os_file_memfd(const char *name, size_t huge_page_bytes, int *fd);

/* An unlinked file in `dir`. Whatever the system says of that directory: -ENOENT, -ENOTDIR,
 * -EACCES, -EROFS, -ENOSPC, -EMFILE ... */
int tn_os_file_scratch(const char *dir, int *fd);

/* Opens a named file: for reading, or for reading and writing, created, or emptied if it is there.
 * Errors as above. */
int tn_os_file_open(const char *path, bool create, int *fd);

/* Creates a file that was not there, for reading and writing by its owner. Errors as above, and
 * -EEXIST. */
int tn_os_file_create(const char *path, int *fd);

/* Removes a named file, if there is one and it can be removed. */
void tn_os_file_remove(const char *path);

/* Moves a descriptor to a high number, out of the way of those that the program opens. Returns
 * where it is now: where it was, if there is no number left. */
int tn_os_file_raise(int fd);

/* Which file a descriptor shows; all zero for none. */
struct tn_os_identity {
    uint64_t device;
    uint64_t inode;
};
struct tn_os_identity tn_os_file_identity(int fd);

/* Sets the size, sparse. -ENOSPC, -EFBIG (RLIMIT_FSIZE too), -EIO, -ENOMEM. */
int tn_os_file_resize(int fd, uint64_t size_bytes);

/* Reserves space for a range of the file. -ENOSPC, -EIO, -ENOMEM, -ENOTSUP (the file system has no
 * such call; then space is not guaranteed). */
int tn_os_file_reserve(int fd, uint64_t offset_bytes, uint64_t size_bytes);

/* Gives the space of a range back; it reads as zero. -ENOTSUP, -ENOSPC, -EIO, -ENOMEM. */
int tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes);

/* Bytes of a file range in memory, and those of them that are not on the medium yet. */
struct tn_os_cached {
    uint64_t resident_bytes; /* all of them */
    uint64_t dirty_bytes;    /* changed, and not being written */
    uint64_t writing_bytes;  /* being written */
};

/* Looks without changing anything. A file in memory (tmpfs) has no dirty bytes, because they are
 * never written. -ENOTSUP (no such call, or not for this file). */
int tn_os_file_cached(int fd, uint64_t offset_bytes, uint64_t size_bytes, struct tn_os_cached *out);

/* Whether the file system has found room for all of a range, so that no store there needs more.
 * -ENOTSUP (it does not say), -EIO, -ENOMEM. */
int tn_os_file_backed(int fd, uint64_t offset_bytes, uint64_t size_bytes, bool *backed);

/* Bytes that the file takes on its file system. -EIO, -ENOMEM. */
int tn_os_file_taken(int fd, uint64_t *bytes);

/* Starts writing the changed pages of a range to the medium; `wait`: and returns when they are
 * there. Contents only: what the file system notes about them may come later. -EIO, -ENOSPC,
 * -ENOMEM, -ENOTSUP. */
int tn_os_file_write_out(int fd, uint64_t offset_bytes, uint64_t size_bytes, bool wait);

/* Takes the pages of a range out of memory that are on the medium and in no page table. A hint:
 * others stay. -ENOTSUP. */
int tn_os_file_drop(int fd, uint64_t offset_bytes, uint64_t size_bytes);

/* Reads up to `size` bytes; *got is 0 at the end. -EIO. */
int tn_os_file_read(int fd, void *buffer, size_t size, size_t *got);

/* Writes all of `size` bytes. Whatever the system says: -ENOSPC, -EIO, -EFBIG, -EPIPE ... */
int tn_os_file_write(int fd, const void *buffer, size_t size);

/* Closes; cannot fail in a way that matters to us. */
void tn_os_file_close(int fd);

/* Maps `size` bytes of a file shared, anywhere. -ENOMEM, -ENOTSUP. */
int tn_os_file_map_shared(int fd, size_t size, void **out);

/* A second descriptor of the same open file. -EMFILE, -EBADF. */
int tn_os_file_duplicate(int fd, int *out);

/* ---- files of the user's, or of another process ---- */

/* Any error that the system has for such a call may come: -EBADF, -EACCES, -EIO, -EISDIR ... */

/* The length of a regular file. -ENOTSUP: it is another one, whose length nobody knows. */
int tn_os_user_file_size(int fd, uint64_t *bytes);

/* What is mapped of a file. */
struct tn_os_file_part {
    int fd;
    bool own; /* may be stored to, which the file does not see; else read-only and shared */
    uint64_t offset_bytes;
};

/* Maps part of a file in place of what lies there, or on failure perhaps zero pages. Pages behind
 * the end of the file must not be touched. -ENOTSUP (such files, or this range, cannot be mapped).
 */
int tn_os_user_file_map(void *addr, size_t size, const struct tn_os_file_part *part);

/* Reads `size` bytes; *got is less where the file ends. */
int tn_os_user_file_read(int fd, void *buffer, size_t size, uint64_t offset_bytes, size_t *got);

/* Writes all of `size` bytes. */
int tn_os_user_file_write(int fd, const void *buffer, size_t size, uint64_t offset_bytes);

/* ---- time, randomness, identity, sleep ---- */

/* Monotonic nanoseconds. */
uint64_t tn_os_clock_ns(void);

/* A cheap counter that grows with time, for sampled durations; unit unknown. */
uint64_t tn_os_ticks(void);

/* Fills a buffer with unpredictable bytes; falls back to the clock and addresses early at boot. */
void tn_os_random(void *buffer, size_t size);

int tn_os_process_id(void);
int tn_os_thread_id(void);

/* What the process has used so far, all its threads together; all zero where a sandbox forbids to
 * ask. */
struct tn_os_usage {
    uint64_t user_us;
    uint64_t system_us;
    uint64_t minor_faults; /* pages mapped without reading from a disk */
    uint64_t major_faults;
};
void tn_os_usage(struct tn_os_usage *out);

/* Sleeps while *word == expected, or until woken; may return early. */
void tn_os_wait(const _Atomic uint32_t *word, uint32_t expected);

/* The same for at most `ns`. */
void tn_os_wait_for(const _Atomic uint32_t *word, uint32_t expected, uint64_t ns);

/* Wakes one sleeper on `word`. */
void tn_os_wake_one(const _Atomic uint32_t *word);

/* Wakes all of them. */
void tn_os_wake_all(const _Atomic uint32_t *word);

/* Lets another thread run. */
void tn_os_yield(void);

/* ---- threads ---- */

/* These go through the C library, which may allocate: no lock of ours may be held. */

struct tn_os_thread {
    void *handle;
};
typedef void *tn_os_thread_body(void *nothing);

/* Starts a thread with a small stack and all signals blocked; the name has at most 15 bytes.
 * -EAGAIN (no thread can be started). */
int tn_os_thread_start(struct tn_os_thread *thread, tn_os_thread_body *body, const char *name);

/* Waits until the thread has ended and gives its stack back. */
void tn_os_thread_join(struct tn_os_thread *thread);

/* Calls `prepare` before each fork, `parent` and `child` after it, as pthread_atfork does. -ENOMEM.
 */
int tn_os_at_fork(void (*prepare)(void), void (*parent)(void), void (*child)(void));

#endif
