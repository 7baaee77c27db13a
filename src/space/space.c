/* Creation, layout and accounting of spaces; see space.h. */
#include "space/space.h"

#include "base/base.h"
#include "os/os.h"
#include "space/extents.h"
#include "space/registry.h"

#include <errno.h>
#include <string.h>

/* A window is never asked for below this: it would not hold a run worth moving. */
#define WINDOW_MIN (16 * TN_MIB)

/* Of a limited address space the program keeps a part for stacks, libraries and files. */
#define LIMITED_SHARE(bytes) ((bytes) / 4 * 3)

/* Rows of tables made accessible at a time under strict overcommit: 64 MiB of blocks. */
#define TABLE_STEP_BLOCKS 1024u

static const size_t row_bytes[TN_TABLES] = {TN_ROW_NODES,   TN_ROW_MINI, TN_ROW_BLOCKS,
                                            TN_ROW_REMOTE,  TN_ROW_HELD, TN_ROW_REGIONS,
                                            TN_ROW_EXTENTS, TN_ROW_HOMES};

/* The default space lives here, so that malloc can start without memory. */
static struct terrane_space default_space;
struct tn_lock tn_default_lock = TN_LOCK_INIT(TN_RANK_DEFAULT);
static struct terrane_space *_Atomic default_ready;

/* ---- layout ---- */

static size_t huge_unit_bytes(size_t blocks)
{
    return tn_round_up((blocks >> TN_HUGE_ORDER) / 8 + 8, tn_os_page_bytes());
}

static size_t node_room_bytes(const struct terrane_space *space)
{
    return tn_round_up((space->nodes - 1) * (size_t)TN_NODE_ROOM_BYTES, tn_os_page_bytes());
}

static bool has_table(const struct terrane_space *space, unsigned table)
{
    if (table == TN_TABLE_EXTENTS)
        return space->backing != TERRANE_BACKING_PRIVATE;
    return table != TN_TABLE_HOMES || space->nodes > 1;
}

/* Bytes of all tables for `blocks` blocks, and where each starts. */
static size_t lay_out(const struct terrane_space *space, size_t blocks, size_t starts[TN_TABLES])
{
    const size_t page = tn_os_page_bytes();
    size_t at = huge_unit_bytes(blocks) + node_room_bytes(space);
    for (unsigned table = 0; table < TN_TABLES; table++) {
        starts[table] = at;
        if (has_table(space, table))
            at += tn_round_up(blocks * row_bytes[table], page);
    }
    return at;
}

/* A window is whole blocks, and whole pages of its file. */
static size_t window_unit(size_t page_bytes)
{
    return tn_max(TN_BLOCK_BYTES, page_bytes);
}

static size_t wanted_window(size_t asked, size_t unit)
{
    const size_t most = tn_bytes_of_order(TN_ORDER_MAX);
    size_t bytes = asked != 0 ? asked : tn_max(tn_bytes_of_order(24), 8 * tn_os_memory_bytes());
    const size_t left = tn_os_address_bytes_left();
    if (asked == 0 && left != SIZE_MAX)
        bytes = tn_min(bytes, LIMITED_SHARE(left));
    return tn_round_down(tn_min(bytes, most), unit);
}

/* Reserves tables and blocks for a window of `bytes`, its blocks aligned to `align`. */
static int reserve_aligned(struct terrane_space *space, size_t bytes, size_t align)
{
    size_t starts[TN_TABLES];
    const size_t blocks = bytes >> TN_BLOCK_SHIFT;
    const size_t front = lay_out(space, blocks, starts);
    void *start;
    const int error = tn_os_reserve(front + bytes, front, align, &start);
    if (error != 0)
        return error;
    space->reservation = start;
    space->reservation_bytes = front + bytes;
    space->base = space->reservation + front;
    space->block_count = (uint32_t)blocks;
    space->huge_units = start;
    space->node_room = space->reservation + huge_unit_bytes(blocks);
    for (unsigned table = 0; table < TN_TABLES; table++)
        space->tables[table] = space->reservation + starts[table];
    return 0;
}

/* Blocks are aligned to 1 GiB if they fill one. Small windows, and those that else would have to be
 * smaller, to what fits four times into them: objects cannot be aligned to more. */
static int reserve_window(struct terrane_space *space, size_t bytes)
{
    const size_t least = tn_max(TN_HUGE_BYTES, space->page_bytes);
    const size_t quarter = (size_t)1 << tn_highest_bit(tn_max(bytes / 4, least));
    int error = -ENOMEM;
    if (bytes >= TN_GIB)
        error = reserve_aligned(space, bytes, TN_GIB);
    return error != 0 && quarter < TN_GIB ? reserve_aligned(space, bytes, quarter) : error;
}

static int reserve_halving(struct terrane_space *space, size_t bytes, bool may_shrink)
{
    const size_t unit = window_unit(space->page_bytes);
    if (bytes < unit)
        return -ENOMEM;
    int error = reserve_window(space, bytes);
    while (error != 0 && may_shrink && bytes / 2 >= tn_max(WINDOW_MIN, unit)) {
        bytes = tn_round_down(bytes / 2, unit);
        error = reserve_window(space, bytes);
    }
    return error;
}

/* ---- files behind shared spaces ---- */

static int open_file(struct terrane_space *space, const struct terrane_space_options *options)
{
    if (space->backing == TERRANE_BACKING_SCRATCH)
        return tn_os_file_scratch(options->scratch_dir, &space->fd);
    return tn_os_file_memfd("terrane", options->huge_page_bytes, &space->fd);
}

static int map_file(struct terrane_space *space)
{
    const size_t bytes = (size_t)space->block_count << TN_BLOCK_SHIFT;
    int error = tn_os_file_resize(space->fd, bytes);
    if (error == 0)
        error = tn_space_map_file(space, space->base, bytes, 0);
    return error;
}

/* ---- creation ---- */

/* All at once where the kernel lets reserved memory be accessible, else step by step; tables can be
 * read everywhere, which costs nothing, because anybody may ask about any address in the window. */
static int make_accessible(struct terrane_space *space)
{
    const size_t tables = (size_t)(space->base - space->reservation);
    const size_t blocks = (size_t)space->block_count << TN_BLOCK_SHIFT;
    const bool private = space->backing == TERRANE_BACKING_PRIVATE;
    space->tables_blocks = space->block_count;
    if (tn_os_commit(space->reservation, private ? tables + blocks : tables) == 0)
        return 0;
    space->tables_blocks = 0;
    space->lazy_commit = private;
    const int error = tn_os_protect(space->reservation, tables, TN_OS_READ);
    if (error != 0)
        return error;
    return tn_os_commit(space->reservation,
                        huge_unit_bytes(space->block_count) + node_room_bytes(space));
}

static void init_tables(struct terrane_space *space, const struct terrane_space_options *options)
{
    tn_buddy_init(&space->buddy, (struct tn_node *)(void *)space->tables[TN_TABLE_NODES],
                  space->block_count);
    tn_count(space, TN_COUNT_MAPPINGS_BUDGET, options->mappings_budget);
    tn_os_name(space->reservation, (size_t)(space->base - space->reservation), "terrane tables");
    if (space->fd < 0)
        tn_os_name(space->base, (size_t)space->block_count << TN_BLOCK_SHIFT, "terrane");
}

/* The registry comes last: from then on others look at the space. */
static int build(struct terrane_space *space, const struct terrane_space_options *options)
{
    const size_t bytes = wanted_window(options->window_bytes, window_unit(space->page_bytes));
    int error = reserve_halving(space, bytes, options->window_bytes == 0);
    if (error != 0)
        return error;
    error = make_accessible(space);
    if (error == 0 && space->fd >= 0)
        error = map_file(space);
    if (error == 0 && space->numa_node >= 0) /* where it is refused, pages come from anywhere */
        (void)tn_os_place(space->base, (size_t)space->block_count << TN_BLOCK_SHIFT,
                          (unsigned)space->numa_node);
    if (error == 0) {
        init_tables(space, options);
        error = tn_registry_add(space);
    }
    if (error != 0)
        (void)tn_os_release(space->reservation, space->reservation_bytes);
    return error;
}

static int init_space(struct terrane_space *space, const struct terrane_space_options *options)
{
    const bool private = options->backing == TERRANE_BACKING_PRIVATE;
    space->backing = options->backing;
    space->verbs = private ? &tn_private_verbs : &tn_shared_verbs;
    space->fd = -1;
    space->page_bytes =
        options->huge_page_bytes != 0 ? options->huge_page_bytes : tn_os_page_bytes();
    space->reserve_file =
        options->backing == TERRANE_BACKING_SCRATCH || options->huge_page_bytes != 0;
    atomic_init(&space->limit_bytes, options->limit_bytes != 0 ? options->limit_bytes : SIZE_MAX);
    space->move_min_bytes = options->move_min_bytes;
    space->numa_node = (int)options->numa_node_plus_one - 1;
    space->nodes = space->numa_node < 0 ? (uint32_t)tn_min(tn_os_nodes(), TN_NODES_MAX) : 1;
    space->lock = (struct tn_lock)TN_LOCK_INIT(TN_RANK_SPACE);
    if (!private) {
        tn_atfork_need(); /* the child must not take it for its own */
        const int error = open_file(space, options);
        if (error != 0)
            return error;
    }
    const int error = build(space, options);
    if (error != 0 && space->fd >= 0)
        tn_os_file_close(space->fd);
    return error;
}

static bool valid_options(const struct terrane_space_options *options)
{
    const size_t huge = options->huge_page_bytes;
    if (options->numa_node_plus_one > tn_os_nodes())
        return false;
    switch (options->backing) {
    case TERRANE_BACKING_PRIVATE:
        return huge == 0 && options->scratch_dir == NULL;
    case TERRANE_BACKING_MEMFD:
        return (huge == 0 || huge == TN_HUGE_BYTES || huge == TN_GIB) &&
               options->scratch_dir == NULL;
    case TERRANE_BACKING_SCRATCH:
        return huge == 0 && options->scratch_dir != NULL && options->numa_node_plus_one == 0;
    }
    return false;
}

int terrane_space_create(const struct terrane_space_options *options, struct terrane_space **out)
{
    static const struct terrane_space_options defaults = {.backing = TERRANE_BACKING_PRIVATE};
    if (options == NULL)
        options = &defaults;
    if (!valid_options(options) || (options->window_bytes != 0 &&
                                    options->window_bytes < window_unit(options->huge_page_bytes)))
        return -EINVAL;
    void *memory;
    const size_t bytes = tn_round_up(sizeof(struct terrane_space), tn_os_page_bytes());
    int error = tn_os_allocate(bytes, &memory);
    if (error != 0)
        return error;
    error = init_space(memory, options);
    if (error != 0) {
        (void)tn_os_release(memory, bytes);
        return error;
    }
    *out = memory;
    return 0;
}

int terrane_space_destroy(struct terrane_space *space)
{
    if (space == NULL)
        return 0;
    if (space == &default_space)
        return -EINVAL;
    tn_registry_remove(space);
    if (space->fd >= 0)
        tn_os_file_close(space->fd);
    tn_space_forget_charges(space);
    if (atomic_load_explicit(&space->arrays, memory_order_relaxed) != NULL) /* we are alone */
        space->arrays_release(space);
    if (atomic_load_explicit(&space->heaps, memory_order_relaxed) != NULL)
        space->heaps_release(space);
    if (atomic_load_explicit(&space->regions, memory_order_relaxed) != NULL)
        space->regions_release(space);
    if (atomic_load_explicit(&space->budget, memory_order_relaxed) != NULL)
        space->budget_release(space);
    (void)tn_os_release(space->reservation, space->reservation_bytes);
    (void)tn_os_release(space, tn_round_up(sizeof(*space), tn_os_page_bytes()));
    return 0;
}

struct terrane_space *tn_space_default_if_any(void)
{
    /* acquire; pairs with the release in terrane_space_default */
    return atomic_load_explicit(&default_ready, memory_order_acquire);
}

struct terrane_space *terrane_space_default(void)
{
    struct terrane_space *ready = tn_space_default_if_any();
    if (TN_LIKELY(ready != NULL))
        return ready;
    int error = 0;
    tn_lock_acquire(&tn_default_lock);
    if (tn_space_default_if_any() == NULL) {
        memset(&default_space, 0, sizeof(default_space));
        const struct terrane_space_options options = {.backing = TERRANE_BACKING_PRIVATE};
        error = init_space(&default_space, &options);
        if (error == 0)
            /* release; pairs with the acquire above */
            atomic_store_explicit(&default_ready, &default_space, memory_order_release);
    }
    tn_lock_release(&tn_default_lock);
    if (error != 0)
        errno = -error;
    return tn_space_default_if_any();
}

/* ---- tables under strict overcommit ---- */

int tn_space_reach(struct terrane_space *space, uint64_t upto)
{
    if (TN_LIKELY(upto <= space->tables_blocks))
        return 0;
    const size_t page = tn_os_page_bytes();
    const size_t blocks = tn_min(tn_round_up(upto, TABLE_STEP_BLOCKS), space->block_count);
    for (unsigned table = 0; table < TN_TABLES; table++) {
        if (!has_table(space, table))
            continue;
        const size_t bytes = tn_round_up(blocks * row_bytes[table], page);
        const int error = tn_os_commit(space->tables[table], bytes);
        if (error != 0)
            return error;
    }
    space->tables_blocks = (uint32_t)blocks;
    return 0;
}

/* ---- accounting ---- */

void tn_space_note_dirty(struct terrane_space *space)
{
    const uint64_t dirty = tn_space_dirty_bytes(space);
    /* relaxed: a counter */
    atomic_store_explicit(&space->counters[TN_COUNT_DIRTY_BYTES], dirty, memory_order_relaxed);
}

void tn_space_put(struct terrane_space *space, uint32_t block, unsigned order,
                  enum tn_run_state state)
{
    tn_buddy_give(&space->buddy, block, order, state);
    if (state == TN_RUN_CLEAN && order < TN_HUGE_ORDER)
        tn_space_forget_clean(space, block, 1);
    tn_space_note_dirty(space);
}

bool tn_mappings_take(struct terrane_space *space, unsigned count)
{
    uint64_t budget = tn_counted(space, TN_COUNT_MAPPINGS_BUDGET);
    if (budget == 0) { /* the limit is read when it first matters */
        budget = tn_os_features()->mappings_limit / 2;
        atomic_store_explicit(&space->counters[TN_COUNT_MAPPINGS_BUDGET], budget,
                              memory_order_relaxed);
    }
    const uint64_t before =
        atomic_fetch_add_explicit(&space->counters[TN_COUNT_MAPPINGS], count, memory_order_relaxed);
    if (before + count <= budget)
        return true;
    tn_uncount(space, TN_COUNT_MAPPINGS, count);
    tn_count(space, TN_COUNT_BUDGET_REFUSALS, 1);
    return false;
}

void tn_mappings_give(struct terrane_space *space, unsigned count)
{
    tn_uncount(space, TN_COUNT_MAPPINGS, count);
}

void terrane_space_stats(const struct terrane_space *space, struct terrane_stats *out)
{
    *out = (struct terrane_stats){
        .version = TERRANE_STATS_VERSION,
        .window_bytes = (uint64_t)space->block_count << TN_BLOCK_SHIFT,
        .meta_bytes = (uint64_t)(space->base - space->reservation),
    };
    /* From run_bytes on the struct's fields are the counters, in their order. */
    uint64_t *fields = &out->run_bytes;
    for (unsigned which = 0; which < TN_COUNTERS; which++)
        fields[which] = tn_counted(space, (enum tn_counter)which);
}

_Static_assert(sizeof(struct terrane_stats) == (3 + TN_COUNTERS) * sizeof(uint64_t),
               "every counter is a field of struct terrane_stats, in order");

void tn_space_audit(const struct terrane_space *space)
{
    tn_buddy_audit(&space->buddy);
    tn_check(tn_counted(space, TN_COUNT_DIRTY_BYTES) == tn_space_dirty_bytes(space));
    tn_check(space->buddy.frontier <= space->block_count);
    tn_check(tn_counted(space, TN_COUNT_RUN_BYTES) <= tn_counted(space, TN_COUNT_RUN_BYTES_PEAK));
    if (space->backing != TERRANE_BACKING_PRIVATE)
        tn_extents_audit(space);
}
