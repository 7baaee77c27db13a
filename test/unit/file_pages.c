/* The verbs on pages of files, each against what another one says: what is in memory, what is not
 * on the disk yet, what is in the page tables, and how each goes away. */
#include "base/base.h"
#include "expect.h"
#include "os/os.h"

#define BYTES (4 * TN_MIB)
#define HALF  (BYTES / 2)

struct file {
    int fd;
    char *pages;
};

static struct file file_make(const char *dir)
{
    struct file file;
    void *pages;
    const int error = tn_os_file_scratch(dir, &file.fd);
    EXPECT_THAT(error == 0, "%s: %d", dir, error);
    EXPECT(tn_os_file_resize(file.fd, BYTES) == 0);
    EXPECT(tn_os_file_map_shared(file.fd, BYTES, &pages) == 0);
    EXPECT(tn_os_advise_single(pages, BYTES) == 0);
    file.pages = pages;
    return file;
}

static void file_end(const struct file *file)
{
    EXPECT(tn_os_release(file->pages, BYTES) == 0);
    tn_os_file_close(file->fd);
}

static size_t resident_bytes(const struct file *file)
{
    static unsigned char present[BYTES / 4096];
    size_t pages = 0;
    EXPECT(tn_os_resident(file->pages, BYTES, present) == 0);
    for (size_t i = 0; i < BYTES / tn_os_page_bytes(); i++)
        pages += present[i] & 1;
    return pages * tn_os_page_bytes();
}

static struct tn_os_cached cached_of(const struct file *file)
{
    struct tn_os_cached cached;
    EXPECT(tn_os_file_cached(file->fd, 0, BYTES, &cached) == 0);
    return cached;
}

static size_t mapped_bytes(const struct file *file)
{
    size_t pages = 0;
    EXPECT(tn_os_mapped_pages(file->pages, BYTES, &pages) == 0);
    return pages * tn_os_page_bytes();
}

static uint64_t taken_bytes(const struct file *file)
{
    uint64_t bytes = 1;
    EXPECT(tn_os_file_taken(file->fd, &bytes) == 0);
    return bytes;
}

static bool backed(const struct file *file, uint64_t offset, uint64_t size)
{
    bool backed = false;
    EXPECT(tn_os_file_backed(file->fd, offset, size, &backed) == 0);
    return backed;
}

/* Pages leave the tables and stay in the file. */
static void check_mapped(const struct file *file)
{
    EXPECT(mapped_bytes(file) == 0);
    memset(file->pages, 7, HALF);
    EXPECT(mapped_bytes(file) == HALF);
    EXPECT(resident_bytes(file) == HALF);
    EXPECT(tn_os_unmap_pages(file->pages, BYTES) == 0);
    EXPECT(mapped_bytes(file) == 0);
    EXPECT(resident_bytes(file) == HALF);
    EXPECT(file->pages[HALF - 1] == 7);
    EXPECT(mapped_bytes(file) >= tn_os_page_bytes());
}

/* Pages go to the medium, then out of memory, and come back. */
static void check_dropped(const struct file *file)
{
    EXPECT(cached_of(file).resident_bytes == HALF);
    EXPECT(cached_of(file).dirty_bytes <= HALF); /* the kernel may write at any time */
    EXPECT(tn_os_file_write_out(file->fd, 0, HALF / 2, true) == 0);
    EXPECT(cached_of(file).dirty_bytes <= HALF / 2);
    EXPECT(tn_os_unmap_pages(file->pages, BYTES) == 0);
    EXPECT(tn_os_file_drop(file->fd, 0, HALF / 2) == 0);
    EXPECT(resident_bytes(file) == HALF / 2);
    EXPECT(tn_os_file_write_out(file->fd, 0, BYTES, false) == 0);
    EXPECT(tn_os_file_write_out(file->fd, 0, BYTES, true) == 0);
    EXPECT(cached_of(file).dirty_bytes == 0);
    EXPECT(tn_os_file_drop(file->fd, 0, BYTES) == 0);
    EXPECT(resident_bytes(file) == 0);
    for (size_t i = 0; i < HALF; i++)
        EXPECT(file->pages[i] == 7);
    EXPECT(resident_bytes(file) == HALF);
}

static void check_taken(const struct file *file)
{
    EXPECT(tn_os_file_reserve(file->fd, 0, BYTES) == 0);
    EXPECT(taken_bytes(file) >= BYTES);
    EXPECT(backed(file, 0, BYTES));
    EXPECT(tn_os_file_punch(file->fd, HALF, HALF / 2) == 0);
    EXPECT(taken_bytes(file) >= HALF && taken_bytes(file) < BYTES);
    EXPECT(backed(file, 0, HALF));
    EXPECT(!backed(file, HALF, HALF / 2));
    EXPECT(!backed(file, 0, BYTES));
    EXPECT(!backed(file, HALF, HALF));
    EXPECT(backed(file, HALF + HALF / 2, HALF / 2));
}

/* One page of a hole is touched: no more than that becomes memory. */
static void check_single(const struct file *file)
{
    EXPECT(tn_os_file_punch(file->fd, 0, BYTES) == 0);
    file->pages[HALF] = 1;
    EXPECT(resident_bytes(file) == tn_os_page_bytes());
}

int main(void)
{
    const char *dir = getenv("TMPDIR");
    const struct file file = file_make(dir != NULL ? dir : "/tmp");
    check_mapped(&file);
    if (!tn_os_features()->cached)
        test_skip("cachestat is missing");
    if (cached_of(&file).dirty_bytes == 0)
        test_skip("%s is not on a disk", dir != NULL ? dir : "/tmp");
    check_dropped(&file);
    check_taken(&file);
    check_single(&file);
    file_end(&file);
    return 0;
}
