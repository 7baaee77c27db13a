/* Files in processes that are not as usual: with closed streams, with a limit on the size of files,
 * with paths that name what is no file. Nothing is written where it does not belong, and the
 * process goes on. */
#include "os/os.h"
#include "process.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <terrane/terrane.h>

#include <cmocka.h>

#define SIZE ((size_t)100000)

/* ---- closed streams ---- */

/* What the program prints to streams that it has not must not end up in a space's memory. */
static void print_into_nothing(void *context)
{
    const struct terrane_space_options *options = context;
    struct terrane_space *space = NULL;
    struct terrane_heap *heap = NULL;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    close(STDERR_FILENO);
    if (terrane_space_create(options, &space) != 0 || terrane_heap_create(space, NULL, &heap) != 0)
        _Exit(2);
    unsigned char *object = terrane_heap_alloc(heap, SIZE);
    if (object == NULL)
        _Exit(3);
    memset(object, 0xa5, SIZE);
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (write(fd, "a message", 9) >= 0)
            _Exit(4);
    }
    for (size_t i = 0; i < SIZE; i++) {
        if (object[i] != 0xa5)
            _Exit(5);
    }
}

static void test_closed_streams(void **state)
{
    (void)state;
    const char *dir = getenv("TMPDIR");
    struct terrane_space_options memfd = {.backing = TERRANE_BACKING_MEMFD};
    struct terrane_space_options scratch = {.backing = TERRANE_BACKING_SCRATCH,
                                            .scratch_dir = dir != NULL ? dir : "/tmp"};
    assert_int_equal(child_run(print_into_nothing, &memfd), 0);
    assert_int_equal(child_run(print_into_nothing, &scratch), 0);
}

static void open_without_room(void *context)
{
    (void)context;
    const struct rlimit few = {3, 3};
    int fd;
    close(STDIN_FILENO);
    EXPECT(setrlimit(RLIMIT_NOFILE, &few) == 0);
    EXPECT(tn_os_file_memfd("test", 0, &fd) == -EMFILE);
    EXPECT(tn_os_file_open("/dev/null", false, &fd) == -EMFILE);
}

static void test_no_room_but_for_a_stream(void **state)
{
    (void)state;
    assert_int_equal(child_run(open_without_room, NULL), 0);
}

/* ---- limits ---- */

static void create_limited(void *context)
{
    (void)context;
    const struct rlimit small = {1 << 20, 1 << 20};
    const struct terrane_space_options options = {.backing = TERRANE_BACKING_MEMFD};
    struct terrane_space *space = NULL;
    EXPECT(setrlimit(RLIMIT_FSIZE, &small) == 0);
    EXPECT(terrane_space_create(&options, &space) == -EFBIG);
    EXPECT(space == NULL);
}

static void test_limit_on_file_sizes(void **state)
{
    (void)state;
    assert_int_equal(child_run(create_limited, NULL), 0);
}

/* ---- no files ---- */

static void open_socket(void *context)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd;
    (void)context;
    EXPECT(snprintf(address.sun_path, sizeof(address.sun_path), "%s/terrane-test-socket.%d",
                    getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp",
                    (int)getpid()) < (int)sizeof(address.sun_path));
    const int made = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT(bind(made, (const struct sockaddr *)&address, sizeof(address)) == 0);
    const int error = tn_os_file_open(address.sun_path, true, &fd);
    unlink(address.sun_path);
    EXPECT(error == -ENXIO);
}

static void map_socket(void *context)
{
    void *memory;
    int ends[2];
    (void)context;
    EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    EXPECT(tn_os_file_map_shared(ends[0], tn_os_page_bytes(), &memory) == -ENOTSUP);
}

static void test_what_is_no_file(void **state)
{
    (void)state;
    assert_int_equal(child_run(open_socket, NULL), 0);
    assert_int_equal(child_run(map_socket, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_closed_streams),
        cmocka_unit_test(test_no_room_but_for_a_stream),
        cmocka_unit_test(test_limit_on_file_sizes),
        cmocka_unit_test(test_what_is_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
