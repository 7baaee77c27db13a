/* Arrays of another process: a child, started before there is any space, gets parcels and the
 * descriptor over a socket, sees the very pages, and builds on them. Then parcels that lie. */
#include "api_test.h"
#include "huge_pages.h"

#include <sys/socket.h>
#include <terrane/array.h>

#define LIES 5000

/* What goes over the socket. */
struct letter {
    struct terrane_array_parcel parcel;
    uint64_t seed;
    uint64_t offset; /* of the first byte in the contents of the seed */
};

static void send_letter(int socket, const struct letter *letter, int fd)
{
    struct iovec part = {(void *)(uintptr_t)letter, sizeof(*letter)};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    struct cmsghdr *control = CMSG_FIRSTHDR(&message);
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(control), &fd, sizeof(fd));
    EXPECT(sendmsg(socket, &message, 0) == (ssize_t)sizeof(*letter));
}

/* The descriptor, or -1 at the end. */
static int receive_letter(int socket, struct letter *letter)
{
    struct iovec part = {letter, sizeof(*letter)};
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = room, .msg_controllen = sizeof(room)};
    int fd = -1;
    const ssize_t got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
    if (got == 0)
        return -1;
    EXPECT(got == (ssize_t)sizeof(*letter) && CMSG_FIRSTHDR(&message) != NULL);
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

static void expect_bytes(const char *bytes, size_t count, const struct letter *letter)
{
    for (size_t i = 0; i < count; i++) {
        const size_t at = letter->offset + i;
        const unsigned char wanted =
            (unsigned char)(contents_word(letter->seed, at / 8) >> (at % 8 * 8));
        EXPECT_THAT((unsigned char)bytes[i] == wanted, "wrong at %zu of %zu", i, count);
    }
}

static void store(void *bytes)
{
    signal(SIGSEGV, SIG_DFL); /* no sanitizer's handler */
    *(volatile char *)bytes = 1;
}

/* Nothing can be stored to what is borrowed, and whatever is built on it is the child's own. */
static void build_on(struct terrane_array *array, const struct letter *letter)
{
    const size_t bytes = letter->parcel.length * letter->parcel.unit;
    void *units;
    EXPECT(terrane_array_writable(array) == NULL);
    const int status = child_run(store, (void *)(uintptr_t)terrane_array_data(array));
    EXPECT_THAT(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "0x%x", (unsigned)status);
    struct terrane_array *own = terrane_array_reference(array);
    EXPECT(terrane_array_append(&own, terrane_array_data(array), 1) == 0);
    EXPECT(terrane_array_prepend(&own, terrane_array_data(array), 1) == 0);
    EXPECT(terrane_array_write(&own, 0, 2, &units) == 0);
    memset(units, 0, letter->parcel.unit);
    expect_bytes((const char *)terrane_array_data(own) + letter->parcel.unit, bytes, letter);
    terrane_array_release(own);
    own = terrane_array_reference(array);
    EXPECT(terrane_array_slice(&own, letter->parcel.length / 2, 1) == 0);
    terrane_array_release(own);
    expect_bytes(terrane_array_data(array), bytes, letter);
}

/* Until the other end is closed: borrows, looks, builds, answers. */
static void borrow_letters(int socket)
{
    struct letter letter;
    for (int fd; (fd = receive_letter(socket, &letter)) >= 0;) {
        struct terrane_array *array = NULL;
        const int error = terrane_array_borrow(NULL, 0, fd, &letter.parcel, &array);
        EXPECT_THAT(error == 0, "%d", error);
        close(fd);
        EXPECT(terrane_array_length(array) == letter.parcel.length);
        EXPECT(terrane_array_unit(array) == letter.parcel.unit);
        expect_bytes(terrane_array_data(array), letter.parcel.length * letter.parcel.unit, &letter);
        if (letter.parcel.length > 0)
            build_on(array, &letter);
        EXPECT(write(socket, "seen", 4) == 4);
        terrane_array_release(array);
        struct terrane_array_stats stats;
        terrane_array_stats(terrane_space_default(), &stats);
        EXPECT(stats.arrays == 0 && stats.bodies == 0 && stats.body_bytes == 0);
    }
}

static int other_end; /* of the child's socket */

static void lend_and_wait(const struct terrane_array *array, uint64_t seed, size_t offset)
{
    struct letter letter = {.seed = seed, .offset = offset};
    char answer[4];
    int fd = -1;
    assert_int_equal(terrane_array_lend(array, &letter.parcel, &fd), 0);
    send_letter(other_end, &letter, fd);
    close(fd);
    assert_int_equal(read(other_end, answer, sizeof(answer)), sizeof(answer));
}

static struct terrane_array *array_in(struct terrane_space *space, size_t unit, size_t length,
                                      uint64_t seed)
{
    struct terrane_array *array;
    void *units;
    assert_int_equal(terrane_array_create(space, unit, 0, &array), 0);
    assert_int_equal(terrane_array_extend(&array, length, &units), 0);
    contents_write(units, length * unit, seed);
    return array;
}

static uint64_t file_bytes(struct terrane_space *space)
{
    static struct terrane_pool_stats stats;
    terrane_space_trim(space);
    terrane_pool_stats(space, &stats);
    return stats.file_bytes;
}

static void lends(struct terrane_space *space)
{
    static const size_t lengths[] = {0, 1, 100, 3000, 20000, 100000, 700000};
    const size_t descriptors = descriptors_count();
    for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        struct terrane_array *array = array_in(space, 24, lengths[i], i);
        assert_int_equal(terrane_array_seal(&array), 0);
        lend_and_wait(array, i, 0);
        terrane_array_release(array);
    }
    assert_int_equal(descriptors_count(), descriptors);
}

/* Versions that share blocks by page table, and parts that start anywhere. */
static void lends_versions(struct terrane_space *space)
{
    struct terrane_array *array = array_in(space, 8, MIB, 7);
    struct terrane_array *fork = terrane_array_reference(array), *part;
    const uint64_t next = contents_word(7, MIB);
    void *units;
    assert_int_equal(terrane_array_push(&array, &next, 8), 0);
    assert_int_equal(terrane_array_push(&fork, &next, 8), 0);
    part = terrane_array_reference(fork);
    assert_int_equal(terrane_array_slice(&part, 100001, 500000), 0);
    assert_int_equal(terrane_array_write(&array, MIB / 2, 1, &units), 0);
    lend_and_wait(fork, 7, 0);
    lend_and_wait(array, 7, 0);
    lend_and_wait(part, 7, 8 * 100001);
    terrane_array_release(array);
    terrane_array_release(fork);
    lend_and_wait(part, 7, 8 * 100001);
    terrane_array_release(part);
}

static void lends_of_space(struct terrane_space *space)
{
    struct terrane_array_stats stats;
    uint64_t before = 0;
    for (unsigned round = 0; round < 2; round++) { /* the first one leaves pages of headers */
        before = file_bytes(space);
        lends(space);
        lends_versions(space);
    }
    terrane_array_stats(space, &stats);
    assert_int_equal(stats.arrays, 0);
    assert_int_equal(stats.bodies, 0);
    assert_int_equal(file_bytes(space), before);
}

static void lends_of_files(void **state)
{
    (void)state;
    for (int backing = TERRANE_BACKING_MEMFD; backing <= TERRANE_BACKING_SCRATCH; backing++) {
        struct terrane_space *space = space_of_backing((enum terrane_backing)backing);
        lends_of_space(space);
        assert_int_equal(terrane_space_destroy(space), 0);
    }
}

/* The kernel would map whole ones, over what lies behind. Between neighbours of a block each, one
 * after the other, the addresses come to those of a huge page. */
static void refuses_parts_of_huge_pages(const struct terrane_array *array)
{
    enum { NEIGHBOURS = 100, BYTES = 60000 };
    struct terrane_space *private = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_array *neighbours[NEIGHBOURS], *borrowed;
    struct terrane_array_parcel parcel;
    void *units;
    int fd;
    assert_int_equal(terrane_array_lend(array, &parcel, &fd), 0);
    parcel.length = parcel.ranges = 1;
    parcel.range[0].bytes = 4 * KIB;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        assert_int_equal(terrane_array_borrow(private, 0, fd, &parcel, &borrowed), -EINVAL);
        assert_int_equal(terrane_array_create(private, 1, 0, &neighbours[i]), 0);
        assert_int_equal(terrane_array_reserve(&neighbours[i], 0, BYTES), 0);
        assert_int_equal(terrane_array_extend(&neighbours[i], BYTES, &units), 0);
        contents_write(units, BYTES, i);
    }
    assert_int_equal(terrane_array_from_file(private, 1, 0, fd, 0, 100000, &borrowed), 0);
    terrane_array_release(borrowed);
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        assert_contents(terrane_array_data(neighbours[i]), BYTES, i);
        terrane_array_release(neighbours[i]);
    }
    close(fd);
    assert_int_equal(terrane_space_destroy(private), 0);
}

/* Small arrays of such spaces lie elsewhere; others in whole huge pages. */
static void lends_of_huge_pages(void **state)
{
    struct terrane_space_options options = options_of(TERRANE_BACKING_MEMFD);
    struct terrane_array_parcel parcel;
    int fd = -1;
    (void)state;
    options.huge_page_bytes = 2 * MIB;
    if (!huge_pages_take(2 * MIB, 32))
        skip();
    struct terrane_space *space = space_with(&options);
    struct terrane_array *array = array_in(space, 24, 100, 1);
    assert_int_equal(terrane_array_lend(array, &parcel, &fd), -ENOTSUP);
    assert_int_equal(fd, -1);
    terrane_array_release(array);
    array = array_in(space, 24, 100000, 2);
    assert_int_equal(terrane_array_slice(&array, 1, 99999), 0);
    lend_and_wait(array, 2, 24);
    refuses_parts_of_huge_pages(array);
    terrane_array_release(array);
    lends_versions(space);
    assert_int_equal(terrane_space_destroy(space), 0);
    huge_pages_give_back();
}

/* The parent's shared space: what it does with its blocks, the child does not see. */
static void as_child_of_fork(void *context)
{
    const struct terrane_array *array = context;
    struct terrane_array_parcel parcel;
    int fd = -1;
    EXPECT(terrane_array_lend(array, &parcel, &fd) == -EPERM);
    EXPECT(fd == -1);
}

static void refuses(void **state)
{
    struct terrane_space *private = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_space *shared = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *array = array_in(private, 8, 100000, 1), *borrowed;
    struct terrane_array_parcel parcel;
    int fd = -1;
    (void)state;
    assert_int_equal(terrane_array_lend(array, &parcel, &fd), -ENOTSUP);
    terrane_array_release(array);
    array = array_in(shared, 8, 100000, 2);
    assert_int_equal(child_run(as_child_of_fork, array), 0);
    assert_int_equal(terrane_array_lend(array, &parcel, &fd), 0);
    assert_int_equal(terrane_array_borrow(shared, 0, fd, &parcel, &borrowed), -EINVAL);
    assert_int_equal(terrane_array_borrow(private, 1u << 20, fd, &parcel, &borrowed), -EINVAL);
    assert_int_equal(terrane_array_borrow(private, 0, -1, &parcel, &borrowed), -EINVAL);
    assert_int_equal(terrane_array_borrow(private, 0, fd, &parcel, &borrowed), 0);
    assert_int_equal(terrane_array_to_file(borrowed, fd, parcel.range[0].offset), 0);
    terrane_array_release(borrowed);
    close(fd);
    terrane_array_release(array);
    assert_int_equal(terrane_space_destroy(private), 0);
    assert_int_equal(terrane_space_destroy(shared), 0);
}

/* An array whose blocks lie in the file the other way round has too many ranges. */
static void refuses_many_pieces(void **state)
{
    enum { PIECES = TERRANE_PARCEL_RANGES + 2, PIECE = 256 << 10 };
    struct terrane_space *space = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_array *array = array_in(space, 1, (size_t)PIECES * PIECE, 3), *turned = NULL;
    struct terrane_array_parcel parcel;
    int fd = -1;
    (void)state;
    for (size_t i = PIECES; i-- > 0;) {
        struct terrane_array *piece = terrane_array_reference(array);
        assert_int_equal(terrane_array_slice(&piece, i * PIECE, PIECE), 0);
        if (turned == NULL)
            turned = piece;
        else
            assert_int_equal(terrane_array_concatenate(&turned, piece), 0);
    }
    assert_memory_equal(terrane_array_data(turned),
                        (const char *)terrane_array_data(array) + (PIECES - 1) * PIECE, PIECE);
    assert_int_equal(terrane_array_lend(turned, &parcel, &fd), -E2BIG);
    assert_int_equal(fd, -1);
    terrane_array_release(turned);
    terrane_array_release(array);
    assert_int_equal(terrane_space_destroy(space), 0);
}

/* ---- parcels that lie ---- */

static uint64_t state_of_lies = 1;

static uint64_t random_below(uint64_t limit)
{
    state_of_lies += 0x9e3779b97f4a7c15u;
    return contents_mix(state_of_lies) % limit;
}

/* A number as it comes, near one that matters, or of any size. */
static uint64_t odd_number(uint64_t near)
{
    static const uint64_t steps[] = {0, 1, 7, 4095, 4096, 65536, (uint64_t)2 << 20, 1ull << 63};
    const uint64_t step = steps[random_below(sizeof(steps) / sizeof(steps[0]))];
    switch (random_below(4)) {
    case 0:
        return step;
    case 1:
        return near + step;
    case 2:
        return near - step;
    default:
        return contents_mix(random_below(UINT64_MAX)) >> random_below(64);
    }
}

static void distort(struct terrane_array_parcel *parcel)
{
    const size_t which = random_below(TERRANE_PARCEL_RANGES);
    switch (random_below(6)) {
    case 0:
        parcel->length = odd_number(parcel->length);
        break;
    case 1:
        parcel->unit = (uint32_t)odd_number(parcel->unit);
        break;
    case 2:
        parcel->ranges = (uint32_t)odd_number(TERRANE_PARCEL_RANGES);
        break;
    case 3:
        parcel->skip = odd_number(parcel->skip);
        break;
    case 4:
        parcel->range[random_below(4) == 0 ? which : 0].offset = odd_number(16 * GIB);
        break;
    default:
        parcel->range[random_below(4) == 0 ? which : 0].bytes = odd_number(parcel->range[0].bytes);
        break;
    }
}

/* Whatever is accepted can be read from end to end. */
static void touch(const struct terrane_array *array)
{
    const volatile char *bytes = terrane_array_data(array);
    const size_t size = terrane_array_length(array) * terrane_array_unit(array);
    for (unsigned i = 0; i < 16 && size > 0; i++)
        (void)bytes[random_below(size)];
    if (size > 0)
        (void)(bytes[0] + bytes[size - 1]);
}

static void believes_no_parcel(void **state)
{
    struct terrane_space *shared = space_of_backing(TERRANE_BACKING_MEMFD);
    struct terrane_space *private = space_of_backing(TERRANE_BACKING_PRIVATE);
    struct terrane_array *array = array_in(shared, 8, 100000, 5);
    struct terrane_array_parcel parcel;
    unsigned accepted = 0;
    int fd;
    (void)state;
    assert_int_equal(terrane_array_lend(array, &parcel, &fd), 0);
    for (unsigned i = 1; i < TERRANE_PARCEL_RANGES; i++) /* sound ones, for when there are more */
        parcel.range[i] = parcel.range[0];
    for (unsigned i = 0; i < LIES; i++) {
        struct terrane_array_parcel lie = parcel;
        struct terrane_array *borrowed = NULL;
        for (uint64_t times = 1 + random_below(3); times > 0; times--)
            distort(&lie);
        const int error = terrane_array_borrow(private, 0, fd, &lie, &borrowed);
        assert_true(error == 0 || error == -EINVAL || error == -ENOMEM);
        if (error != 0)
            continue;
        touch(borrowed);
        terrane_array_release(borrowed);
        accepted++;
    }
    printf("%u of %u accepted\n", accepted, LIES);
    assert_in_range(accepted, LIES / 20, LIES - LIES / 20);
    assert_contents(terrane_array_data(array), 800000, 5);
    close(fd);
    terrane_array_release(array);
    assert_int_equal(terrane_space_destroy(private), 0);
    assert_int_equal(terrane_space_destroy(shared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lends_of_files),
        cmocka_unit_test(lends_of_huge_pages),
        cmocka_unit_test(refuses),
        cmocka_unit_test(refuses_many_pieces),
        cmocka_unit_test(believes_no_parcel),
    };
    int ends[2];
    EXPECT(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0);
    const pid_t child = fork();
    EXPECT(child >= 0);
    if (child == 0) {
        close(ends[0]);
        borrow_letters(ends[1]);
        _Exit(0);
    }
    close(ends[1]);
    other_end = ends[0];
    const int result = RUN_TESTS(tests);
    close(other_end);
    EXPECT_CHILD_PASSED(child);
    return result;
}
