/* One object moved from heap to heap, there and back again, and what else one could do.
 *
 *     how=move     terrane_heap_move between heaps in different spaces: pages change their address
 *     how=owner    terrane_heap_move between heaps in one space: large objects keep their address
 *     how=copy     terrane_heap_alloc, memcpy, terrane_free
 *     how=warm     memcpy into memory that is there already
 *     how=fresh    memcpy into memory just mapped
 *
 * move_s is the median of one such operation; read_s the median of reading a byte of each page
 * afterwards, so that a cost put off until the first access would show. Contents are checked after
 * each move, all of them in the end. */
#include "samples.h"
#include "stamp.h"

#include <sys/mman.h>
#include <terrane/terrane.h>

#define PAGE_BYTES 4096u

struct move {
    struct worker base;
    size_t size;
    struct terrane_heap *heaps[2];
    unsigned char *object;
    unsigned char *other; /* the target of a plain memcpy */
    struct samples move_s;
    struct samples read_s;
};

static struct move move;

static uint64_t page_stamp(size_t at)
{
    return (at / PAGE_BYTES + 1) * 0x9e3779b97f4a7c15u;
}

static void object_stamp(unsigned char *object)
{
    for (size_t at = 0; at + sizeof(uint64_t) <= move.size; at += PAGE_BYTES) {
        const uint64_t stamp = page_stamp(at);
        memcpy(object + at, &stamp, sizeof(stamp));
    }
}

/* Reads each page's stamp; the sum of the differences, which must be zero. */
static uint64_t object_read(const unsigned char *object)
{
    uint64_t wrong = 0;
    for (size_t at = 0; at + sizeof(uint64_t) <= move.size; at += PAGE_BYTES) {
        uint64_t stamp;
        memcpy(&stamp, object + at, sizeof(stamp));
        wrong |= stamp ^ page_stamp(at);
    }
    return wrong;
}

static void require(int status, const char *what)
{
    if (status != 0)
        worker_fail("%s failed: %s", what, strerror(-status));
}

static void *require_memory(void *memory)
{
    if (memory == NULL)
        worker_fail("no memory for %zu bytes", move.size);
    return memory;
}

static void *map_fresh(void)
{
    void *memory =
        mmap(NULL, move.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return require_memory(memory == MAP_FAILED ? NULL : memory);
}

static void prepare(const char *how)
{
    if (strcmp(how, "warm") == 0 || strcmp(how, "fresh") == 0) {
        move.object = map_fresh();
        move.other = map_fresh();
        memset(move.other, 1, move.size);
        return;
    }
    struct terrane_space *spaces[2] = {NULL, NULL};
    require(terrane_space_create(NULL, &spaces[0]), "terrane_space_create");
    if (strcmp(how, "move") == 0)
        require(terrane_space_create(NULL, &spaces[1]), "terrane_space_create");
    for (unsigned i = 0; i < 2; i++)
        require(
            terrane_heap_create(spaces[i] != NULL ? spaces[i] : spaces[0], NULL, &move.heaps[i]),
            "terrane_heap_create");
    move.object = require_memory(terrane_heap_alloc(move.heaps[0], move.size));
}

static void do_move(struct terrane_heap *to)
{
    void *object = move.object;
    require(terrane_heap_move(to, &object), "terrane_heap_move");
    move.object = object;
}

static void do_copy(struct terrane_heap *to)
{
    unsigned char *copy = require_memory(terrane_heap_alloc(to, move.size));
    memcpy(copy, move.object, move.size);
    terrane_free(move.object);
    move.object = copy;
}

static void do_warm(struct terrane_heap *to)
{
    (void)to;
    unsigned char *object = move.object;
    memcpy(move.other, object, move.size);
    move.object = move.other;
    move.other = object;
}

/* Its target is mapped within the measured time, the source unmapped outside of it. */
static void do_fresh(struct terrane_heap *to)
{
    (void)to;
    move.other = map_fresh();
    memcpy(move.other, move.object, move.size);
}

static void settle_fresh(void)
{
    munmap(move.object, move.size);
    move.object = move.other;
}

static void repeat(void (*operation)(struct terrane_heap *), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const double before_s = clock_s();
        operation(move.heaps[(i + 1) % 2]);
        samples_add(&move.move_s, clock_s() - before_s);
        if (operation == do_fresh)
            settle_fresh();
        const double read_before_s = clock_s();
        const uint64_t wrong = object_read(move.object);
        samples_add(&move.read_s, clock_s() - read_before_s);
        if (wrong != 0)
            worker_fail("contents were lost at move %u", i);
    }
}

static void (*operation_of(const char *how))(struct terrane_heap *)
{
    static const struct {
        const char *how;
        void (*operation)(struct terrane_heap *);
    } operations[] = {{"move", do_move},
                      {"owner", do_move},
                      {"copy", do_copy},
                      {"warm", do_warm},
                      {"fresh", do_fresh}};
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
        if (strcmp(operations[i].how, how) == 0)
            return operations[i].operation;
    }
    worker_fail("how must be move, owner, copy, warm or fresh, not '%s'", how);
}

int main(int argc, char **argv)
{
    struct worker *worker = &move.base;
    worker_init(worker, argc, argv);
    move.size = worker_number(worker, "size", 1 << 20);
    const char *how = worker_word(worker, "how", "move");
    worker_check_arguments(worker);
    void (*operation)(struct terrane_heap *) = operation_of(how);
    prepare(how);
    memset(move.object, 7, move.size);
    object_stamp(move.object);
    worker_begin(worker);
    repeat(operation, samples_wanted(move.size));
    worker_end(worker);
    for (size_t at = 0; at < move.size; at++) {
        if (at % PAGE_BYTES >= sizeof(uint64_t) && move.object[at] != 7)
            worker_fail("contents were lost at byte %zu", at);
    }
    worker_figure(worker, "move_s", samples_median(&move.move_s));
    worker_figure(worker, "read_s", samples_median(&move.read_s));
    worker_figure(worker, "size_bytes", (double)move.size);
    return worker_report(worker);
}
