/* The stat page of this process; see publish.h for the rules and stat_page.h for the layout. */
#include "stats/publish.h"

#include "os/os.h"
#include "pool/pool.h"
#include "stats/stat_page.h"

#include <errno.h>
#include <string.h>

#define REFRESH_NS    UINT64_C(5000000)
#define DIRECTORY_MAX 400
#define NEVER         UINT64_MAX

/* Which process has its turn with everything below; 0: none. It is a process and not a thread
 * because only fork asks: a turn that a thread of the parent had is nobody's in the child. */
static _Atomic uint32_t turn;

/* When the next snapshot is due; NEVER while nothing is published. Relaxed: a stale look costs one
 * turn that finds nothing to do. */
static _Atomic uint64_t next_ns = NEVER;

/* Whose page it is; 0: there is none. Written under the turn, relaxed: a process reads what it has
 * written itself, or its parent before the fork. */
static _Atomic uint32_t page_pid;

/* Under the turn. */
static struct tn_stat_page *page;     /* NULL: nothing is published */
static char directory[DIRECTORY_MAX]; /* where its file is; empty for a memfd */
static int memfd;
static struct tn_os_identity memfd_identity;      /* the program may have closed our descriptor */
static uint64_t slots_backed[TN_STAT_USED_WORDS]; /* bit id: slot id has memory */
static struct tn_figures figures;                 /* not on the stack, which may be a small one */

static uint32_t own_pid(void)
{
    return (uint32_t)tn_os_process_id();
}

static bool turn_take(void)
{
    const uint32_t self = own_pid();
    uint32_t holder = atomic_load_explicit(&turn, memory_order_relaxed);
    if (holder == self)
        return false;
    /* acquire; pairs with the release in turn_give */
    return atomic_compare_exchange_strong_explicit(&turn, &holder, self, memory_order_acquire,
                                                   memory_order_relaxed);
}

/* Others have it for a snapshot at most: tens of microseconds. */
static void turn_wait(void)
{
    while (!turn_take())
        tn_os_yield();
}

static void turn_give(void)
{
    atomic_store_explicit(&turn, 0, memory_order_release);
}

/* ---- the snapshot ---- */

/* release: after the odd sequence; see stat_page.h */
static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t slot_bit(uint32_t id)
{
    return UINT64_C(1) << id % 64;
}

/* Makes sure that storing into the slot cannot fail: on a full file system a store would end the
 * process. */
static bool slot_back(uint32_t id)
{
    const size_t unit = tn_os_page_bytes();
    char *start = (char *)page + tn_round_down(offsetof(struct tn_stat_page, slots[id]), unit);
    if ((slots_backed[id / 64] & slot_bit(id)) == 0 &&
        tn_os_populate(start, tn_max(unit, TN_STAT_SLOT_BYTES)) != 0)
        return false;
    slots_backed[id / 64] |= slot_bit(id);
    return true;
}

static uint64_t words_write(_Atomic uint64_t *to, const void *from, size_t count, uint64_t sum)
{
    const uint64_t *words = from;
    for (size_t i = 0; i < count; i++) {
        set(&to[i], words[i]);
        sum = tn_stat_fold(sum, words[i]);
    }
    return sum;
}

static uint64_t slot_write(uint32_t id, uint64_t sum)
{
    struct tn_stat_slot *slot = &page->slots[id].slot;
    sum = tn_stat_fold(sum, id);
    sum = words_write(&slot->backing, &figures.backing, 1, sum);
    sum = words_write(slot->space, &figures.space, TN_STAT_SPACE_WORDS, sum);
    return words_write(slot->pool, &figures.pool, TN_STAT_POOL_WORDS, sum);
}

/* All spaces' figures into their slots. */
struct sweep {
    uint64_t used[TN_STAT_USED_WORDS];
    uint64_t missing;
    uint64_t sum;
};

static void sweep_space(struct sweep *sweep, struct terrane_space *space)
{
    const uint32_t id = space->id;
    if (!slot_back(id)) {
        sweep->missing++;
        return;
    }
    tn_figures_read(space, &figures);
    sweep->used[id / 64] |= slot_bit(id);
    sweep->sum = slot_write(id, sweep->sum);
}

static void sweep_spaces(struct sweep *sweep)
{
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        struct terrane_space *space = tn_space_visit(id);
        if (space == NULL)
            continue;
        sweep_space(sweep, space);
        tn_space_leave(id);
    }
}

static void snapshot(uint64_t now_ns)
{
    struct tn_stat_head *head = &page->head;
    struct sweep sweep = {.missing = 0};
    const uint64_t sequence = atomic_load_explicit(&head->sequence, memory_order_relaxed);
    atomic_store_explicit(&head->sequence, sequence + 1, memory_order_relaxed);
    sweep.sum = words_write(&head->time_ns, &now_ns, 1, tn_stat_fold(0, sequence + 2));
    sweep_spaces(&sweep);
    sweep.sum = words_write(&head->missing, &sweep.missing, 1, sweep.sum);
    sweep.sum = words_write(head->used, sweep.used, TN_STAT_USED_WORDS, sweep.sum);
    set(&head->checksum, sweep.sum);
    set(&head->sequence, sequence + 2);
    atomic_store_explicit(&next_ns, now_ns + REFRESH_NS, memory_order_relaxed);
}

/* ---- the page ---- */

static void path_make(char path[static TN_MESSAGE_MAX])
{
    tn_format(path, TN_MESSAGE_MAX, "%s/" TN_STAT_NAME ".%d", directory, tn_os_process_id());
}

static int file_open(int *fd)
{
    if (directory[0] == '\0')
        return tn_os_file_memfd(TN_STAT_NAME, 0, fd);
    char path[TN_MESSAGE_MAX];
    path_make(path);
    /* Of a process of this number that was killed, or of the program before exec. */
    tn_os_file_remove(path);
    return tn_os_file_create(path, fd);
}

static size_t page_bytes(void)
{
    return tn_round_up(sizeof(struct tn_stat_page), tn_os_page_bytes());
}

/* The head and the first slot have memory from the start. */
static int file_map(int fd, struct tn_stat_page **out)
{
    void *memory = NULL;
    int error = tn_os_file_resize(fd, page_bytes());
    if (error == 0)
        error = tn_os_file_reserve(fd, 0, (uint64_t)2 * TN_STAT_SLOT_BYTES);
    if (error == 0)
        error = tn_os_file_map_shared(fd, page_bytes(), &memory);
    *out = memory;
    return error;
}

/* A memfd is found through its descriptor, which is moved out of the program's way; a file through
 * its mapping. */
static void file_keep(int fd)
{
    if (directory[0] != '\0') {
        tn_os_file_close(fd);
        return;
    }
    memfd = tn_os_file_raise(fd);
    memfd_identity = tn_os_file_identity(memfd);
}

static void page_init(struct tn_stat_page *made, uint64_t now_ns)
{
    struct tn_stat_head *head = &made->head;
    head->version = TN_STAT_VERSION;
    head->slots_max = TN_SPACES_MAX;
    head->pid = own_pid();
    head->stats_version = TERRANE_STATS_VERSION;
    head->pool_version = TERRANE_POOL_STATS_VERSION;
    head->space_words = TN_STAT_SPACE_WORDS;
    head->pool_words = TN_STAT_POOL_WORDS;
    head->start_ns = now_ns;
    atomic_store_explicit(&head->state, TN_STAT_RUNNING, memory_order_relaxed);
    memset(slots_backed, 0, sizeof(slots_backed));
    slots_backed[0] = slot_bit(0);
    page = made;
    atomic_store_explicit(&page_pid, own_pid(), memory_order_relaxed);
    snapshot(now_ns);
    head->magic = TN_STAT_MAGIC;
}

static int page_open(void)
{
    int fd;
    int error = file_open(&fd);
    if (error != 0)
        return error;
    struct tn_stat_page *made;
    error = file_map(fd, &made);
    if (error != 0) {
        char path[TN_MESSAGE_MAX];
        path_make(path);
        tn_os_file_close(fd);
        if (directory[0] != '\0')
            tn_os_file_remove(path);
        return error;
    }
    file_keep(fd);
    page_init(made, tn_os_clock_ns());
    atomic_store_explicit(&tn_pool_observer, tn_publish_refresh, memory_order_relaxed);
    return 0;
}

static void page_forget(void)
{
    atomic_store_explicit(&tn_pool_observer, NULL, memory_order_relaxed);
    atomic_store_explicit(&next_ns, NEVER, memory_order_relaxed);
    atomic_store_explicit(&page_pid, 0, memory_order_relaxed);
    (void)tn_os_release(page, page_bytes());
    page = NULL;
    if (directory[0] != '\0')
        return;
    const struct tn_os_identity now = tn_os_file_identity(memfd);
    if (now.device == memfd_identity.device && now.inode == memfd_identity.inode)
        tn_os_file_close(memfd);
}

/* Whether there is a page that this process may write to. */
static bool page_is_own(void)
{
    return atomic_load_explicit(&page_pid, memory_order_relaxed) == own_pid();
}

/* For calls that the program makes: a page of the parent's is let go. Under the turn. */
static bool page_own_only(void)
{
    if (page != NULL && !page_is_own())
        page_forget();
    return page != NULL;
}

/* ---- calls ---- */

bool tn_publish_active(void)
{
    return page_is_own();
}

/* The child of vfork has its parent's memory, and its threads' turns, for its own: so a child must
 * not change anything here but the time of its next look. */
void tn_publish_refresh(uint64_t now_ns)
{
    if (now_ns < atomic_load_explicit(&next_ns, memory_order_relaxed))
        return;
    if (!page_is_own()) {
        atomic_store_explicit(&next_ns, now_ns + REFRESH_NS, memory_order_relaxed);
        return;
    }
    const int saved_errno = errno;
    if (turn_take()) {
        if (page != NULL)
            snapshot(now_ns);
        turn_give();
    }
    errno = saved_errno;
}

void tn_publish_fork_child(void)
{
    const int saved_errno = errno;
    turn_wait();
    if (page != NULL) {
        page_forget();
        if (directory[0] != '\0')
            (void)page_open();
    }
    turn_give();
    errno = saved_errno;
}

int terrane_stats_publish(const char *dir)
{
    if (dir != NULL && dir[0] != '/')
        return -EINVAL;
    const size_t length = dir == NULL ? 0 : strlen(dir);
    if (length >= sizeof(directory))
        return -ENAMETOOLONG;
    turn_wait();
    int error = -EALREADY;
    if (!page_own_only()) {
        memcpy(directory, dir == NULL ? "" : dir, length + 1);
        error = page_open();
    }
    turn_give();
    return error;
}

void terrane_stats_refresh(void)
{
    turn_wait();
    if (page_own_only())
        snapshot(tn_os_clock_ns());
    turn_give();
}

void terrane_stats_unpublish(void)
{
    turn_wait();
    if (page_own_only()) {
        snapshot(tn_os_clock_ns());
        /* release: a reader that knows of the end has the last snapshot */
        atomic_store_explicit(&page->head.state, TN_STAT_ENDED, memory_order_release);
        page_forget();
        if (directory[0] != '\0') {
            char path[TN_MESSAGE_MAX];
            path_make(path);
            tn_os_file_remove(path);
        }
    }
    turn_give();
}
