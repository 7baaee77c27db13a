/* Files that the user names or another process sent; see os.h. What the system says of them is the
 * user's affair, so errors are returned as they are. */
#define _GNU_SOURCE
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int tn_os_user_file_size(int fd, uint64_t *bytes)
{
    struct stat about;
    if (fstat(fd, &about) != 0)
        return -errno;
    if (!S_ISREG(about.st_mode))
        return -ENOTSUP;
    *bytes = (uint64_t)about.st_size;
    return 0;
}

/* Of files in huge pages the kernel maps whole ones: more than it was asked for, over whatever lies
 * behind. And parts of such a mapping cannot be changed, as is done with memory of our own. */
static bool fits_pages(const void *addr, size_t size, const struct tn_os_file_part *part)
{
    struct statfs about;
    if (fstatfs(part->fd, &about) != 0 || about.f_type != HUGETLBFS_MAGIC)
        return true;
    const size_t page = (size_t)about.f_bsize;
    return !part->own && (((uintptr_t)addr | size | part->offset_bytes) & (page - 1)) == 0;
}

/* A file system that cannot map the range may say so when the old mapping is gone already. */
int tn_os_user_file_map(void *addr, size_t size, const struct tn_os_file_part *part)
{
    const int access = part->own ? PROT_READ | PROT_WRITE : PROT_READ;
    const int flags = (part->own ? MAP_PRIVATE : MAP_SHARED) | MAP_NORESERVE | MAP_FIXED;
    if (!fits_pages(addr, size, part))
        return -ENOTSUP;
    if (mmap(addr, size, access, flags, part->fd, (off_t)part->offset_bytes) != MAP_FAILED)
        return 0;
    const int error = errno;
    (void)tn_os_map_private(addr, size);
    switch (error) {
    case ENODEV:
    case EINVAL:
        return -ENOTSUP;
    case EAGAIN:
        return -ENOMEM;
    default:
        return -error;
    }
}

int tn_os_user_file_read(int fd, void *buffer, size_t size, uint64_t offset_bytes, size_t *got)
{
    char *to = buffer;
    *got = 0;
    while (*got < size) {
        const ssize_t n = syscall(SYS_pread64, fd, to + *got, size - *got, offset_bytes + *got);
        if (n == 0)
            break;
        if (n > 0)
            *got += (size_t)n;
        else if (errno != EINTR)
            return -errno;
    }
    return 0;
}

int tn_os_user_file_write(int fd, const void *buffer, size_t size, uint64_t offset_bytes)
{
    const char *from = buffer;
    while (size > 0) {
        const ssize_t n = syscall(SYS_pwrite64, fd, from, size, offset_bytes);
        if (n == 0)
            return -EIO;
        if (n < 0 && errno != EINTR)
            return -errno;
        if (n < 0)
            continue;
        from += n;
        offset_bytes += (uint64_t)n;
        size -= (size_t)n;
    }
    return 0;
}

int tn_os_file_duplicate(int fd, int *out)
{
    const int copy = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (copy < 0) /* it says EINVAL where the limit is so low */
        return errno == EINVAL ? -EMFILE : -errno;
    *out = copy;
    return 0;
}
