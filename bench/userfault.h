/* Asynchronous write-protection (userfaultfd, Linux 6.7) and the scan that reads it. The structures
 * are spelled out for systems whose headers are older than their kernel. */
#ifndef TERRANE_BENCH_USERFAULT_H
#define TERRANE_BENCH_USERFAULT_H

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define USERFAULT_WP_UNPOPULATED ((uint64_t)1 << 13)
#define USERFAULT_WP_ASYNC       ((uint64_t)1 << 15)

/* A userfaultfd whose write-protection the kernel resolves by itself; a negative value and errno
 * when there is none. */
static inline int userfault_open_async(void)
{
    const int descriptor =
        (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (descriptor < 0)
        return -1;
    struct uffdio_api api = {.api = UFFD_API,
                             .features = USERFAULT_WP_ASYNC | USERFAULT_WP_UNPOPULATED};
    if (ioctl(descriptor, UFFDIO_API, &api) == 0)
        return descriptor;
    close(descriptor);
    return -1;
}

/* Registers and write-protects a range: 0, or -1 and errno. */
static inline int userfault_protect(int descriptor, void *memory, size_t size)
{
    struct uffdio_register registration = {.range = {(uintptr_t)memory, size},
                                           .mode = UFFDIO_REGISTER_MODE_WP};
    if (ioctl(descriptor, UFFDIO_REGISTER, &registration) != 0)
        return -1;
    struct uffdio_writeprotect protection = {.range = {(uintptr_t)memory, size},
                                             .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    return ioctl(descriptor, UFFDIO_WRITEPROTECT, &protection);
}

/* PAGEMAP_SCAN's request and result. */
struct userfault_region {
    uint64_t start;
    uint64_t end;
    uint64_t categories;
};

struct userfault_scan {
    uint64_t size;
    uint64_t flags;
    uint64_t start;
    uint64_t end;
    uint64_t walk_end;
    uint64_t vec;
    uint64_t vec_len;
    uint64_t max_pages;
    uint64_t category_inverted;
    uint64_t category_mask;
    uint64_t category_anyof_mask;
    uint64_t return_mask;
};

#define USERFAULT_SCAN            _IOWR('f', 16, struct userfault_scan)
#define USERFAULT_SCAN_PROTECT    1u /* protect again what is reported */
#define USERFAULT_SCAN_CHECK      2u /* fail on a range that is not registered */
#define USERFAULT_SCAN_IS_WRITTEN 2u

#endif
