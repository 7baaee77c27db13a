/* Runs an unmodified program and measures it from outside.
 *
 *     measure [fd=N] [preload=LIBRARY] [stdin=FILE] [env=NAME=VALUE]... [hash=FILE]...
 *             -- PROGRAM ARGUMENTS...
 *
 * The program starts from this small process, not from the command that runs the bench, because the
 * kernel counts the memory of the process that called exec as the new program's. Its standard
 * output goes to memory and is hashed when it has ended, together with the files named with hash=,
 * so that hashing costs the program nothing. Figures are those of the program and its children;
 * peak memory is that of the largest one. */
#include "worker.h"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>

#define HASH_START 0xcbf29ce484222325u
#define HASH_PRIME 0x100000001b3u

struct measure {
    struct worker worker;
    const char *preload;
    const char *input;
    char **program;
    const char *hashed[64];
    unsigned hashed_count;
};

/* FNV-1a over the whole of a descriptor. */
static uint64_t hash_descriptor(int descriptor, uint64_t hash)
{
    static unsigned char bytes[1 << 16];
    if (lseek(descriptor, 0, SEEK_SET) != 0)
        worker_fail("cannot read the output");
    for (;;) {
        const ssize_t count = read(descriptor, bytes, sizeof(bytes));
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            worker_fail("cannot read the output: %s", strerror(errno));
        if (count == 0)
            return hash;
        for (ssize_t i = 0; i < count; i++)
            hash = (hash ^ bytes[i]) * HASH_PRIME;
    }
}

static uint64_t hash_outputs(const struct measure *measure, int output)
{
    uint64_t hash = hash_descriptor(output, HASH_START);
    for (unsigned i = 0; i < measure->hashed_count; i++) {
        const int descriptor = open(measure->hashed[i], O_RDONLY | O_CLOEXEC);
        if (descriptor < 0)
            worker_fail("no output file %s", measure->hashed[i]);
        hash = hash_descriptor(descriptor, hash);
        close(descriptor);
    }
    return hash;
}

/* Takes the arguments that may stand more than once out of argv; how many are left. */
static int read_repeatable(struct measure *measure, int count, char **argv)
{
    int rest = 1;
    for (int i = 1; i < count; i++) {
        if (strncmp(argv[i], "env=", 4) == 0 && putenv(argv[i] + 4) == 0)
            continue;
        if (strncmp(argv[i], "hash=", 5) != 0)
            argv[rest++] = argv[i];
        else if (measure->hashed_count < sizeof(measure->hashed) / sizeof(measure->hashed[0]))
            measure->hashed[measure->hashed_count++] = argv[i] + 5;
        else
            worker_fail("too many files to hash");
    }
    return rest;
}

static void read_arguments(struct measure *measure, int argc, char **argv)
{
    struct worker *worker = &measure->worker;
    int own = 1;
    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    if (own + 1 >= argc)
        worker_fail("usage: measure [fd=N] [preload=LIBRARY] [stdin=FILE] [env=NAME=VALUE]... "
                    "[hash=FILE]... -- PROGRAM ARGUMENTS...");
    measure->program = argv + own + 1;
    worker_init(worker, read_repeatable(measure, own, argv), argv);
    measure->preload = worker_word(worker, "preload", NULL);
    measure->input = worker_word(worker, "stdin", "/dev/null");
    worker_check_arguments(worker);
}

/* Starts the program with `output` as its standard output; its process id. */
static pid_t start(const struct measure *measure, int output)
{
    const int input = open(measure->input, O_RDONLY | O_CLOEXEC);
    if (input < 0)
        worker_fail("cannot read %s: %s", measure->input, strerror(errno));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
    fcntl(measure->worker.descriptor, F_SETFD, FD_CLOEXEC);
    if (measure->preload != NULL)
        setenv("LD_PRELOAD", measure->preload, 1);
    pid_t pid = 0;
    const int status =
        posix_spawn(&pid, measure->program[0], &actions, NULL, measure->program, environ);
    if (status != 0)
        worker_fail("cannot run %s: %s", measure->program[0], strerror(status));
    posix_spawn_file_actions_destroy(&actions);
    close(input);
    return pid;
}

int main(int argc, char **argv)
{
    static struct measure measure;
    read_arguments(&measure, argc, argv);
    const int output = memfd_create("output", MFD_CLOEXEC);
    if (output < 0)
        worker_fail("cannot make a file in memory: %s", strerror(errno));
    static const struct rusage nothing;
    struct rusage usage;
    int status = 0;
    const double started_s = clock_s();
    const pid_t pid = start(&measure, output);
    while (wait4(pid, &status, 0, &usage) < 0) {
        if (errno != EINTR)
            worker_fail("cannot wait: %s", strerror(errno));
    }
    struct worker *worker = &measure.worker;
    worker_figure(worker, "wall_s", clock_s() - started_s);
    if (WIFSIGNALED(status))
        worker_fail("%s was killed by signal %d", measure.program[0], WTERMSIG(status));
    if (WEXITSTATUS(status) != 0)
        worker_fail("%s ended with status %d", measure.program[0], WEXITSTATUS(status));
    worker_add_usage(worker, &nothing, &usage);
    worker_figure(worker, "peak_bytes", (double)usage.ru_maxrss * 1024);
    worker_output(worker, hash_outputs(&measure, output));
    return worker_report(worker);
}
