/* Transparent huge pages in memfd spaces, where the system allows them: large regions have them,
 * they go back whole, and who comes next at the same addresses does not get 2 MiB for a page. */
#include "base/base.h"
#include "expect.h"
#include "os/os.h"
#include "space/space.h"

#include <terrane/pool.h>

#define BYTES (8 * TN_MIB)

static size_t resident_bytes(char *addr, size_t bytes)
{
    static unsigned char present[BYTES / 4096];
    size_t pages = 0;
    EXPECT(tn_os_resident(addr, bytes, present) == 0);
    for (size_t i = 0; i < bytes / tn_os_page_bytes(); i++)
        pages += present[i] & 1;
    return pages * tn_os_page_bytes();
}

static uint64_t mappings_of(const struct terrane_space *space)
{
    return tn_counted(space, TN_COUNT_MAPPINGS);
}

static char *acquire(struct terrane_space *space, size_t bytes, struct terrane_region *region)
{
    EXPECT(terrane_region_acquire(space, bytes, region) == 0);
    return region->data;
}

int main(void)
{
    struct terrane_space *space;
    struct terrane_region region;
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD,
                                                  .window_bytes = TN_GIB};
    if (tn_os_features()->thp_shared == TN_OS_THP_NEVER)
        test_skip("the system gives memory files no huge pages (shmem_enabled)");
    EXPECT(terrane_space_create(&options, &space) == 0);
    char *data = acquire(space, BYTES, &region);
    for (size_t at = 0; at < BYTES; at += TN_HUGE_BYTES)
        data[at] = 1;
    EXPECT_THAT(resident_bytes(data, BYTES) == BYTES, "%zu", resident_bytes(data, BYTES));
    terrane_region_release(&region);
    (void)terrane_pool_purge(space);
    uint64_t taken = 1;
    EXPECT(tn_os_file_taken(space->fd, &taken) == 0);
    EXPECT_THAT(taken == 0, "%llu", (unsigned long long)taken);
    EXPECT_THAT(mappings_of(space) == 0, "%llu", (unsigned long long)mappings_of(space));

    char *small = acquire(space, TN_BLOCK_BYTES, &region);
    EXPECT(small >= data && small < data + BYTES);
    if (tn_os_features()->thp_shared == TN_OS_THP_MADVISE) {
        *small = 1;
        EXPECT(resident_bytes(small, TN_BLOCK_BYTES) == tn_os_page_bytes());
    }
    terrane_region_release(&region);
    EXPECT(terrane_space_destroy(space) == 0);
    return 0;
}
