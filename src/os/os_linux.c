/* The Linux port: every system call of the library is in this file; see os.h for the promises.
 *
 * Each wrapper names the errors that its caller handles. An errno outside that list means that we
 * asked for nonsense, and going on would corrupt memory, so it ends the process with a message.
 * What the system says of a path that the user named is the user's affair and is returned as it is.
 * EAGAIN counts as ENOMEM: the kernel uses both for "not now". Calls that a sandbox forbids (EPERM,
 * ENOSYS, EACCES from seccomp) count as -ENOTSUP where the verb has a fallback. */
#define _GNU_SOURCE
#include "os/os.h"

#include "base/base.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <linux/futex.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <time.h>
#include <unistd.h>

/* Newer than the headers of the oldest system that we build on. */
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102
#define MADV_GUARD_REMOVE  103
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA           0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8U
#endif
#ifndef SYS_cachestat
#define SYS_cachestat 451
#endif

#define NAME_MAX_BYTES  4096
#define HIGH_DESCRIPTOR ((size_t)1024)

/* ---- calls without cancellation points ---- */

/* The C library's open, read, write, close, fallocate and getrandom are cancellation points; malloc
 * must hold none, so the kernel is called directly. */

static int sys_open(const char *path, int flags, unsigned mode)
{
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
}

static ssize_t sys_read(int fd, void *buffer, size_t size)
{
    return syscall(SYS_read, fd, buffer, size);
}

static ssize_t sys_read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
    return syscall(SYS_pread64, fd, buffer, size, offset);
}

static ssize_t sys_write(int fd, const void *buffer, size_t size)
{
    return syscall(SYS_write, fd, buffer, size);
}

static ssize_t sys_getrandom(void *buffer, size_t size, unsigned flags)
{
    return syscall(SYS_getrandom, buffer, size, flags);
}

static void sys_close(int fd)
{
    (void)syscall(SYS_close, fd);
}

/* In a process whose standard streams are closed a new file would become one of them, and what the
 * program prints would be written into it. */
static int above_streams(int fd)
{
    if (fd < 0 || fd > STDERR_FILENO)
        return fd;
    const int higher = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    sys_close(fd);
    if (higher < 0)
        errno = EMFILE; /* it says EINVAL where the limit is so low */
    return higher;
}

void tn_message_write(const char *text, size_t length)
{
    while (length > 0) {
        const ssize_t n = sys_write(STDERR_FILENO, text, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return;
        text += n;
        length -= (size_t)n;
    }
}

/* ---- errors ---- */

/* Turns errno into the negative result of `call`. `allowed` lists, ended by 0, what callers expect.
 */
static int expected(const char *call, const int *allowed)
{
    const int error = errno == EAGAIN ? ENOMEM : errno;
    for (; *allowed != 0; allowed++) {
        if (*allowed == error)
            return -error;
    }
    tn_die("%s failed with unexpected errno %d (%s)", call, error, strerrordesc_np(error));
}

static const int only_memory[] = {ENOMEM, 0};
static const int memory_or_spanning[] = {ENOMEM, EFAULT, 0};
static const int opening[] = {EMFILE, ENFILE, ENOMEM, 0};
static const int sizing[] = {ENOSPC, EFBIG, EIO, ENOMEM, EOPNOTSUPP, EPERM, EINTR, EDQUOT, 0};

/* Whether errno says that this kernel, or a sandbox, has no such call or flag. */
static bool unsupported(void)
{
    return errno == EINVAL || errno == ENOSYS || errno == EPERM || errno == EOPNOTSUPP ||
           errno == EACCES;
}

static int memory_or_unsupported(const char *call)
{
    return unsupported() ? -ENOTSUP : expected(call, only_memory);
}

/* ---- addresses ---- */

size_t tn_os_page_bytes(void)
{
    static _Atomic size_t known; /* relaxed: whoever finds 0 asks, and all get the same answer */
    size_t page_bytes = atomic_load_explicit(&known, memory_order_relaxed);
    if (TN_UNLIKELY(page_bytes == 0)) {
        page_bytes = getauxval(AT_PAGESZ); /* sysconf would fault a page of libc's tables in */
        atomic_store_explicit(&known, page_bytes, memory_order_relaxed);
    }
    return page_bytes;
}

size_t tn_os_memory_bytes(void)
{
    struct sysinfo info;
    if (sysinfo(&info) != 0)
        return TN_GIB;
    return (size_t)info.totalram * info.mem_unit;
}

static int map_fixed(const char *call, void *addr, size_t size, int access)
{
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED;
    if (mmap(addr, size, access, flags, -1, 0) == MAP_FAILED)
        return expected(call, only_memory);
    return 0;
}

int tn_os_reserve(size_t size, size_t front, size_t align, void **out)
{
    const size_t page = tn_os_page_bytes();
    size_t total;
    if (!tn_size_add(size, align > page ? align - page : 0, &total))
        return -ENOMEM;
    char *start = mmap(NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    /* EINVAL is what valgrind, which has its own idea of the address space, says to too large a
     * wish. */
    if (start == MAP_FAILED)
        return errno == EINVAL ? -ENOMEM : expected("reserve", only_memory);
    char *aligned = (char *)tn_round_up((uintptr_t)start + front, align) - front;
    if (aligned > start)
        munmap(start, (size_t)(aligned - start));
    char *end = start + total;
    if (aligned + size < end)
        munmap(aligned + size, (size_t)(end - (aligned + size)));
    *out = aligned;
    return 0;
}

int tn_os_release(void *addr, size_t size)
{
    return munmap(addr, size) == 0 ? 0 : expected("release", only_memory);
}

int tn_os_commit(void *addr, size_t size)
{
    return mprotect(addr, size, PROT_READ | PROT_WRITE) == 0 ? 0 : expected("commit", only_memory);
}

int tn_os_map_private(void *addr, size_t size)
{
    return map_fixed("map_private", addr, size, PROT_READ | PROT_WRITE);
}

int tn_os_vacate(void *addr, size_t size)
{
    return map_fixed("vacate", addr, size, PROT_NONE);
}

int tn_os_map_file(void *addr, size_t size, int fd, uint64_t offset_bytes)
{
    const int flags = MAP_SHARED | MAP_NORESERVE | MAP_FIXED;
    if (mmap(addr, size, PROT_READ | PROT_WRITE, flags, fd, (off_t)offset_bytes) == MAP_FAILED)
        return errno == ENODEV ? -ENOTSUP : expected("map_file", only_memory);
    return 0;
}

int tn_os_allocate(size_t size, void **out)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        return expected("allocate", only_memory);
    *out = p;
    return 0;
}

size_t tn_os_address_bytes_left(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
        return SIZE_MAX;
    /* The first field of statm is what the limit is compared with, in pages. */
    char text[64] = "";
    const int fd = sys_open("/proc/self/statm", O_RDONLY | O_CLOEXEC, 0);
    if (fd >= 0) {
        const ssize_t n = sys_read(fd, text, sizeof(text) - 1);
        text[n > 0 ? n : 0] = '\0';
        sys_close(fd);
    }
    const size_t used = strtoul(text, NULL, 10) * tn_os_page_bytes();
    return used < limit.rlim_cur ? limit.rlim_cur - used : 0;
}

size_t tn_os_mappings_count(void)
{
    const int fd = sys_open("/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    char chunk[NAME_MAX_BYTES];
    size_t lines = 0;
    for (ssize_t n; (n = sys_read(fd, chunk, sizeof(chunk))) > 0;) {
        for (ssize_t i = 0; i < n; i++)
            lines += chunk[i] == '\n';
    }
    sys_close(fd);
    return lines;
}

/* ---- pages ---- */

/* Pages that the user has locked (mlock) are refused with EINVAL until they are unlocked; freeing
 * memory ends its lock, as unmapping it would. */
int tn_os_discard(void *addr, size_t size)
{
    if (madvise(addr, size, MADV_DONTNEED) == 0)
        return 0;
    if (errno == EINVAL && munlock(addr, size) == 0 && madvise(addr, size, MADV_DONTNEED) == 0)
        return 0;
    return expected("discard", only_memory);
}

int tn_os_populate(void *addr, size_t size)
{
    if (madvise(addr, size, MADV_POPULATE_WRITE) == 0)
        return 0;
    /* EFAULT, EHWPOISON: the pages could not be had; touching them one by one will tell. */
    if (errno == EFAULT || errno == EHWPOISON)
        return -ENOMEM;
    return memory_or_unsupported("populate");
}

/* Whether a range is more than one mapping: only then is growing it in place a bad address. errno
 * is kept: a question is no failure. */
static bool spans_mappings(char *addr, size_t size)
{
    const size_t page = tn_os_page_bytes();
    const int saved_errno = errno;
    if (mremap(addr, size, size + page, 0) == MAP_FAILED) {
        const bool spans = errno == EFAULT;
        errno = saved_errno;
        return spans;
    }
    (void)munmap(addr + size, page); /* nothing was behind it, and so it grew */
    return false;
}

/* Since Linux 6.17 the kernel also moves ranges of several mappings, one after the other; refused
 * in the middle, it leaves some moved and a hole for the next, and does not say where. So it is
 * given one mapping at a time, as kernels before it demand. */
int tn_os_move(void *from, void *to, size_t size)
{
    const int flags = MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP;
    if (spans_mappings(from, size))
        return -EFAULT;
    if (mremap(from, size, size, flags, to) != MAP_FAILED)
        return 0;
    return unsupported() ? -ENOTSUP : expected("move", memory_or_spanning);
}

int tn_os_protect(void *addr, size_t size, enum tn_os_access access)
{
    static const int bits[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE};
    return mprotect(addr, size, bits[access]) == 0 ? 0 : expected("protect", only_memory);
}

void tn_os_cool(void *addr, size_t size)
{
    (void)madvise(addr, size, MADV_COLD);
}

int tn_os_advise_huge(void *addr, size_t size, bool wanted)
{
    if (madvise(addr, size, wanted ? MADV_HUGEPAGE : MADV_NOHUGEPAGE) == 0)
        return 0;
    return memory_or_unsupported("advise_huge");
}

int tn_os_guard(void *addr, size_t size)
{
    return madvise(addr, size, MADV_GUARD_INSTALL) == 0 ? 0 : memory_or_unsupported("guard");
}

int tn_os_unguard(void *addr, size_t size)
{
    return madvise(addr, size, MADV_GUARD_REMOVE) == 0 ? 0 : memory_or_unsupported("unguard");
}

int tn_os_lock_all(int flags)
{
    return syscall(SYS_mlockall, flags | MCL_ONFAULT) == 0 ? 0 : -errno; /* mlockall is ours */
}

void tn_os_name(void *addr, size_t size, const char *name)
{
    (void)prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, size, name);
}

int tn_os_resident(void *addr, size_t size, unsigned char *out)
{
    return mincore(addr, size, out) == 0 ? 0 : expected("resident", only_memory);
}

/* Pages that the user has locked are refused with EINVAL. */
int tn_os_unmap_pages(void *addr, size_t size)
{
    if (madvise(addr, size, MADV_DONTNEED) == 0)
        return 0;
    return errno == EINVAL ? -EBUSY : expected("unmap_pages", only_memory);
}

/* One word a page, whose highest bit says that the page is there. */
int tn_os_mapped_pages(const void *addr, size_t size, size_t *pages)
{
    uint64_t words[512];
    const size_t page = tn_os_page_bytes();
    const int fd = sys_open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC, 0);
    if (fd < 0)
        return -ENOTSUP;
    size_t left = size / page;
    size_t found = 0;
    uint64_t at = (uintptr_t)addr / page * sizeof(words[0]);
    while (left > 0) {
        const size_t wanted = tn_min(left, TN_ARRAY_COUNT(words)) * sizeof(words[0]);
        const ssize_t n = sys_read_at(fd, words, wanted, at);
        if (n <= 0)
            break;
        const size_t got = (size_t)n / sizeof(words[0]);
        for (size_t i = 0; i < got; i++)
            found += words[i] >> 63;
        left -= got;
        at += (uint64_t)n;
    }
    sys_close(fd);
    *pages = found;
    return left > 0 ? -ENOTSUP : 0;
}

int tn_os_advise_single(void *addr, size_t size)
{
    return madvise(addr, size, MADV_RANDOM) == 0 ? 0 : expected("advise_single", only_memory);
}

/* ---- files ---- */

int tn_os_file_memfd(const char *name, size_t huge_page_bytes, int *fd)
{
    unsigned flags = MFD_CLOEXEC;
    if (huge_page_bytes != 0)
        flags |= MFD_HUGETLB | tn_highest_bit(huge_page_bytes) << MFD_HUGE_SHIFT;
    int result = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (result < 0 && errno == EINVAL) /* before Linux 6.3 there is no such seal */
        result = memfd_create(name, flags);
    if (result < 0 && (errno == ENODEV || unsupported()))
        return -ENOTSUP;
    result = above_streams(result);
    if (result < 0)
        return expected("file_memfd", opening);
    *fd = result;
    return 0;
}

/* O_TMPFILE where the file system has it, else a file with a random name, unlinked at once. */
static int open_unlinked(const char *dir)
{
    int fd = sys_open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);
    if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL))
        return fd;
    char path[NAME_MAX_BYTES];
    const size_t length = tn_format(path, sizeof(path), "%s/terrane-XXXXXX", dir);
    if (length + 1 >= sizeof(path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    return fd;
}

int tn_os_file_scratch(const char *dir, int *fd)
{
    const int result = above_streams(open_unlinked(dir));
    if (result < 0)
        return -errno;
    *fd = result;
    return 0;
}

int tn_os_file_open(const char *path, bool create, int *fd)
{
    const int flags = create ? O_RDWR | O_CREAT | O_TRUNC : O_RDONLY;
    const int result = above_streams(sys_open(path, flags | O_CLOEXEC, 0600));
    if (result < 0)
        return -errno;
    *fd = result;
    return 0;
}

int tn_os_file_create(const char *path, int *fd)
{
    const int flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    const int result = above_streams(sys_open(path, flags, 0600));
    if (result < 0)
        return -errno;
    *fd = result;
    return 0;
}

void tn_os_file_remove(const char *path)
{
    (void)unlink(path);
}

/* Not above what select() can hold, and where the limit is lower, below it. */
int tn_os_file_raise(int fd)
{
    struct rlimit limit = {.rlim_cur = HIGH_DESCRIPTOR};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    const size_t top = tn_min(limit.rlim_cur, HIGH_DESCRIPTOR);
    const size_t room = HIGH_DESCRIPTOR / 16;
    const int higher = fcntl(fd, F_DUPFD_CLOEXEC, (int)(top > room ? top - room : 0));
    if (higher <= fd) {
        if (higher >= 0)
            sys_close(higher);
        return fd;
    }
    sys_close(fd);
    return higher;
}

struct tn_os_identity tn_os_file_identity(int fd)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return (struct tn_os_identity){0, 0};
    return (struct tn_os_identity){about.st_dev, about.st_ino};
}

/* Past its RLIMIT_FSIZE the kernel would end the process by SIGXFSZ. */
static bool beyond_file_limit(uint64_t size_bytes)
{
    struct rlimit limit;
    return getrlimit(RLIMIT_FSIZE, &limit) == 0 && size_bytes > limit.rlim_cur;
}

int tn_os_file_resize(int fd, uint64_t size_bytes)
{
    if (beyond_file_limit(size_bytes))
        return -EFBIG;
    if (ftruncate(fd, (off_t)size_bytes) == 0)
        return 0;
    return errno == EINVAL ? -EFBIG : expected("file_resize", sizing);
}

static int change_space(const char *call, int fd, int mode, uint64_t offset, uint64_t size)
{
    int result;
    do {
        result = (int)syscall(SYS_fallocate, fd, mode, (off_t)offset, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result == 0)
        return 0;
    return errno == EOPNOTSUPP || errno == ENOSYS ? -ENOTSUP : expected(call, sizing);
}

int tn_os_file_reserve(int fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    return change_space("file_reserve", fd, FALLOC_FL_KEEP_SIZE, offset_bytes, size_bytes);
}

int tn_os_file_punch(int fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    const int mode = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return change_space("file_punch", fd, mode, offset_bytes, size_bytes);
}

/* As the kernel's headers of Linux 6.5 have it; the counts are pages. */
struct cache_range {
    uint64_t offset, length;
};
struct cache_counts {
    uint64_t resident, dirty, writing, evicted, recently_evicted;
};

int tn_os_file_cached(int fd, uint64_t offset_bytes, uint64_t size_bytes, struct tn_os_cached *out)
{
    struct cache_range range = {offset_bytes, size_bytes};
    struct cache_counts pages = {.resident = 0};
    if (syscall(SYS_cachestat, fd, &range, &pages, 0) != 0)
        return unsupported() ? -ENOTSUP : expected("file_cached", only_memory);
    const size_t page = tn_os_page_bytes();
    *out = (struct tn_os_cached){.resident_bytes = pages.resident * page,
                                 .dirty_bytes = pages.dirty * page,
                                 .writing_bytes = pages.writing * page};
    return 0;
}

#define EXTENTS_MAX 16 /* a range in more pieces counts as not backed */

int tn_os_file_backed(int fd, uint64_t offset_bytes, uint64_t size_bytes, bool *backed)
{
    _Alignas(struct fiemap) char
        buffer[sizeof(struct fiemap) + EXTENTS_MAX * sizeof(struct fiemap_extent)] = {0};
    struct fiemap *map = (struct fiemap *)(void *)buffer;
    *map = (struct fiemap){
        .fm_start = offset_bytes, .fm_length = size_bytes, .fm_extent_count = EXTENTS_MAX};
    if (ioctl(fd, FS_IOC_FIEMAP, map) != 0)
        return unsupported() || errno == ENOTTY || errno == EBADR
                   ? -ENOTSUP
                   : expected("file_backed", (const int[]){EIO, ENOMEM, 0});
    uint64_t upto = offset_bytes;
    for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
        const struct fiemap_extent *extent = &map->fm_extents[i];
        if (extent->fe_logical > upto)
            break;
        upto = tn_max(upto, extent->fe_logical + extent->fe_length);
    }
    *backed = upto >= offset_bytes + size_bytes;
    return 0;
}

int tn_os_file_taken(int fd, uint64_t *bytes)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return expected("file_taken", (const int[]){EIO, ENOMEM, 0});
    *bytes = (uint64_t)about.st_blocks * 512;
    return 0;
}

int tn_os_file_write_out(int fd, uint64_t offset_bytes, uint64_t size_bytes, bool wait)
{
    const unsigned all =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    const unsigned flags = wait ? all : SYNC_FILE_RANGE_WRITE;
    int result;
    do {
        result = (int)syscall(SYS_sync_file_range, fd, offset_bytes, size_bytes, flags);
    } while (result != 0 && errno == EINTR);
    if (result == 0)
        return 0;
    return unsupported() ? -ENOTSUP
                         : expected("file_write_out", (const int[]){EIO, ENOSPC, ENOMEM, 0});
}

int tn_os_file_drop(int fd, uint64_t offset_bytes, uint64_t size_bytes)
{
    const int error =
        posix_fadvise(fd, (off_t)offset_bytes, (off_t)size_bytes, POSIX_FADV_DONTNEED);
    if (error == 0)
        return 0;
    errno = error;
    return unsupported() ? -ENOTSUP : expected("file_drop", only_memory);
}

int tn_os_file_read(int fd, void *buffer, size_t size, size_t *got)
{
    ssize_t n;
    do {
        n = sys_read(fd, buffer, size);
    } while (n < 0 && errno == EINTR);
    if (n < 0)
        return expected("file_read", (const int[]){EIO, EISDIR, 0});
    *got = (size_t)n;
    return 0;
}

int tn_os_file_write(int fd, const void *buffer, size_t size)
{
    const char *at = buffer;
    while (size > 0) {
        const ssize_t n = sys_write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        at += n;
        size -= (size_t)n;
    }
    return 0;
}

void tn_os_file_close(int fd)
{
    sys_close(fd);
}

int tn_os_file_map_shared(int fd, size_t size, void **out)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return errno == ENODEV ? -ENOTSUP : expected("file_map_shared", only_memory);
    *out = p;
    return 0;
}

/* ---- time, randomness, identity, sleep ---- */

uint64_t tn_os_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t tn_os_ticks(void)
{
#if defined(__x86_64__)
    return __builtin_ia32_rdtsc();
#elif defined(__aarch64__)
    uint64_t ticks;
    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
#else
    return tn_os_clock_ns();
#endif
}

void tn_os_random(void *buffer, size_t size)
{
    if (sys_getrandom(buffer, size, GRND_NONBLOCK) == (ssize_t)size)
        return;
    /* Early at boot, or forbidden: mix what differs between processes. */
    uint64_t state = tn_os_clock_ns() ^ (uintptr_t)&state ^ (uint64_t)getpid() << 32;
    for (size_t i = 0; i < size; i++) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        ((unsigned char *)buffer)[i] = (unsigned char)(state >> 56);
    }
}

int tn_os_process_id(void)
{
    return (int)getpid();
}

int tn_os_thread_id(void)
{
    return (int)gettid();
}

static uint64_t microseconds(const struct timeval *time)
{
    return (uint64_t)time->tv_sec * 1000000u + (uint64_t)time->tv_usec;
}

void tn_os_usage(struct tn_os_usage *out)
{
    struct rusage own = {.ru_minflt = 0};
    (void)getrusage(RUSAGE_SELF, &own);
    out->user_us = microseconds(&own.ru_utime);
    out->system_us = microseconds(&own.ru_stime);
    out->minor_faults = (uint64_t)own.ru_minflt;
    out->major_faults = (uint64_t)own.ru_majflt;
}

static void futex(const _Atomic uint32_t *word, int verb, uint32_t value, struct timespec *time)
{
    const int saved_errno = errno;
    (void)syscall(SYS_futex, word, verb, value, time, NULL, 0);
    errno = saved_errno;
}

void tn_os_wait(const _Atomic uint32_t *word, uint32_t expected_value)
{
    futex(word, FUTEX_WAIT_PRIVATE, expected_value, NULL);
}

void tn_os_wait_for(const _Atomic uint32_t *word, uint32_t expected_value, uint64_t ns)
{
    struct timespec time = {.tv_sec = (time_t)(ns / 1000000000u),
                            .tv_nsec = (long)(ns % 1000000000u)};
    futex(word, FUTEX_WAIT_PRIVATE, expected_value, &time);
}

void tn_os_wake_one(const _Atomic uint32_t *word)
{
    futex(word, FUTEX_WAKE_PRIVATE, 1, NULL);
}

void tn_os_wake_all(const _Atomic uint32_t *word)
{
    futex(word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL);
}

void tn_os_yield(void)
{
    (void)sched_yield();
}
