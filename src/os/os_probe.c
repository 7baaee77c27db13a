/* What this kernel has, found by trying; see os.h.
 *
 * The probe runs at the first question, not at start: small programs never ask. It uses the verbs
 * of the port on two scratch pages of its own. Threads that ask at the same time each probe, and
 * the first answer is everybody's: nobody waits, so a fork or a signal in the middle leaves nobody
 * waiting for a thread that is not there. */
#include "base/base.h"
#include "os/os.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* NULL until somebody has asked; constant from then on but for tests. */
static const struct tn_os_features *_Atomic known;

/* Where there is no memory for the answer: everything falls back. */
static const struct tn_os_features nothing = {.mappings_limit = 65530};

/* The text of a small file under /proc or /sys; "" if it cannot be read. */
static void read_text(const char *path, char *text, size_t size)
{
    int fd;
    size_t got = 0;
    text[0] = '\0';
    if (tn_os_file_open(path, false, &fd) != 0)
        return;
    if (tn_os_file_read(fd, text, size - 1, &got) == 0)
        text[got] = '\0';
    tn_os_file_close(fd);
}

static size_t read_number(const char *path, size_t otherwise)
{
    char text[64];
    read_text(path, text, sizeof(text));
    return text[0] == '\0' ? otherwise : strtoul(text, NULL, 10);
}

static enum tn_os_thp read_thp(void)
{
    char text[128];
    read_text("/sys/kernel/mm/transparent_hugepage/enabled", text, sizeof(text));
    if (strstr(text, "[always]"))
        return TN_OS_THP_ALWAYS;
    return strstr(text, "[madvise]") ? TN_OS_THP_MADVISE : TN_OS_THP_NEVER;
}

/* Some modes ask for no advice, and take it all the same. */
static enum tn_os_thp read_thp_shared(void)
{
    char text[128];
    read_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", text, sizeof(text));
    if (strstr(text, "[always]") || strstr(text, "[within_size]") || strstr(text, "[force]"))
        return TN_OS_THP_ALWAYS;
    return strstr(text, "[advise]") ? TN_OS_THP_MADVISE : TN_OS_THP_NEVER;
}

static bool probe_move_file(char *pages, size_t page)
{
    int fd;
    if (tn_os_file_memfd("terrane-probe", 0, &fd) != 0)
        return false;
    const bool moves = tn_os_file_resize(fd, page) == 0 &&
                       tn_os_map_file(pages, page, fd, 0) == 0 &&
                       tn_os_move(pages, pages + page, page) == 0;
    tn_os_file_close(fd);
    return moves;
}

static void probe_pages(struct tn_os_features *features)
{
    const size_t page = tn_os_page_bytes();
    void *range;
    if (tn_os_allocate(2 * page, &range) != 0)
        return;
    char *pages = range;
    features->populate = tn_os_populate(pages, page) == 0;
    features->move_keep = tn_os_move(pages, pages + page, page) == 0;
    features->guard = tn_os_guard(pages, page) == 0;
    features->move_keep_file = probe_move_file(pages, page);
    (void)tn_os_release(pages, 2 * page);
}

size_t tn_os_huge_pages_free(size_t page_bytes)
{
    return read_number(page_bytes == TN_GIB
                           ? "/sys/kernel/mm/hugepages/hugepages-1048576kB/free_hugepages"
                           : "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages",
                       0);
}

static void probe(struct tn_os_features *features)
{
    int fd;
    probe_pages(features);
    features->memfd = tn_os_file_memfd("terrane-probe", 0, &fd) == 0;
    if (features->memfd) {
        struct tn_os_cached cached;
        features->cached = tn_os_file_cached(fd, 0, tn_os_page_bytes(), &cached) == 0;
        tn_os_file_close(fd);
    }
    features->thp = read_thp();
    features->thp_shared = read_thp_shared();
    features->huge_2m_free = tn_os_huge_pages_free(2 * TN_MIB);
    features->huge_1g_free = tn_os_huge_pages_free(TN_GIB);
    features->mappings_limit = read_number("/proc/sys/vm/max_map_count", 65530);
}

static const struct tn_os_features *ask(void)
{
    const struct tn_os_features *first = NULL;
    void *mine;
    if (tn_os_allocate(tn_os_page_bytes(), &mine) != 0)
        return &nothing;
    probe(mine);
    /* release; pairs with the acquire in tn_os_features */
    if (atomic_compare_exchange_strong_explicit(&known, &first, mine, memory_order_release,
                                                memory_order_acquire))
        return mine;
    (void)tn_os_release(mine, tn_os_page_bytes());
    return first;
}

const struct tn_os_features *tn_os_features(void)
{
    /* acquire; pairs with the release in ask */
    const struct tn_os_features *features = atomic_load_explicit(&known, memory_order_acquire);
    if (TN_LIKELY(features != NULL))
        return features;
    const int saved_errno = errno;
    features = ask();
    errno = saved_errno;
    return features;
}

void tn_os_features_override(const struct tn_os_features *features)
{
    static struct tn_os_features overridden;
    overridden = *features;
    /* release; pairs with the acquire in tn_os_features */
    atomic_store_explicit(&known, &overridden, memory_order_release);
}

size_t tn_os_feature_rows(struct tn_os_feature_row *rows, size_t max)
{
    const struct tn_os_features *f = tn_os_features();
    const struct tn_os_feature_row all[] = {
        {"move that keeps the source reserved (MREMAP_DONTUNMAP)", "5.7", f->move_keep,
         "large objects are copied instead of moved"},
        {"the same for shared file mappings", "5.13", f->move_keep_file,
         "moved ranges are mapped anew from the file and fault again"},
        {"populate in one call (MADV_POPULATE_WRITE)", "5.14", f->populate,
         "pages fault one by one as they are touched"},
        {"guard pages without a mapping of their own (MADV_GUARD_INSTALL)", "6.13", f->guard,
         "guards are inaccessible mappings and count against the mapping budget"},
        {"memfd", "3.17", f->memfd, "the memfd backing is refused; use a scratch directory"},
        {"counts of a file's pages in memory (cachestat)", "6.5", f->cached,
         "elided write-back is not counted; resident budgets look at every page"},
        {"transparent huge pages", "2.6.38", f->thp != TN_OS_THP_NEVER,
         "large objects use ordinary pages"},
        {"transparent huge pages of memory files", "4.8", f->thp_shared != TN_OS_THP_NEVER,
         "large objects of memfd spaces use ordinary pages"},
        {"free 2 MiB pages in the kernel's pool", "2.6", f->huge_2m_free > 0,
         "spaces that ask for 2 MiB pages are refused"},
        {"free 1 GiB pages in the kernel's pool", "3.1", f->huge_1g_free > 0,
         "spaces that ask for 1 GiB pages are refused"},
    };
    memcpy(rows, all, tn_min(max, TN_ARRAY_COUNT(all)) * sizeof(all[0]));
    return TN_ARRAY_COUNT(all);
}
