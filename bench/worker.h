/* What all workers share: arguments, the clock, the report.
 *
 * A worker is one process that does a fixed amount of work with fixed seeds and measures itself.
 * Its arguments are key=value pairs, in any order:
 *
 *     threads=N seed=N     as the worker uses them
 *     fd=N                 where the report goes (default: standard output)
 *
 * The report is one line, a JSON object: wall_s, user_s, sys_s, cpu_s and the page faults between
 * worker_begin and worker_end, peak_bytes of the whole process, "output" (a hash of what was
 * computed: equal under every malloc), and whatever the worker adds. Nothing here allocates, so
 * that the figures are those of the work. */
#ifndef TERRANE_BENCH_WORKER_H
#define TERRANE_BENCH_WORKER_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define WORKER_THREADS_MAX 64

struct worker {
    int argc;
    char **argv;
    uint64_t used; /* bit i: argv[i] was asked for */
    uint64_t seed;
    unsigned threads;
    int descriptor;
    double started_s;
    struct rusage before;
    char line[2048]; /* the report so far */
    size_t length;
};

__attribute__((noreturn)) static inline void worker_fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(EXIT_FAILURE);
}

/* ---- arguments ---- */

static inline const char *worker_word(struct worker *worker, const char *key, const char *fallback)
{
    const size_t length = strlen(key);
    for (int i = 1; i < worker->argc && i < 64; i++) {
        if (strncmp(worker->argv[i], key, length) == 0 && worker->argv[i][length] == '=') {
            worker->used |= (uint64_t)1 << i;
            return worker->argv[i] + length + 1;
        }
    }
    return fallback;
}

static inline uint64_t worker_number(struct worker *worker, const char *key, uint64_t fallback)
{
    const char *word = worker_word(worker, key, NULL);
    if (word == NULL)
        return fallback;
    char *end = NULL;
    errno = 0;
    const unsigned long long value = strtoull(word, &end, 10);
    if (end == word || *end != '\0' || errno != 0 || word[0] == '-')
        worker_fail("%s: not a number: '%s'", key, word);
    return value;
}

static inline void worker_init(struct worker *worker, int argc, char **argv)
{
    *worker = (struct worker){.argc = argc, .argv = argv};
    worker->seed = worker_number(worker, "seed", 1);
    worker->threads = (unsigned)worker_number(worker, "threads", 1);
    worker->descriptor = (int)worker_number(worker, "fd", STDOUT_FILENO);
    if (worker->threads == 0 || worker->threads > WORKER_THREADS_MAX)
        worker_fail("threads must be 1 to %d", WORKER_THREADS_MAX);
}

/* To be called when all arguments were asked for: one that nobody wants is an error. */
static inline void worker_check_arguments(const struct worker *worker)
{
    for (int i = 1; i < worker->argc; i++) {
        if (i >= 64 || (worker->used >> i & 1) == 0)
            worker_fail("unknown argument '%s'", worker->argv[i]);
    }
}

/* ---- measuring ---- */

static inline double clock_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static inline double timeval_s(const struct timeval *time)
{
    return (double)time->tv_sec + (double)time->tv_usec * 1e-6;
}

/* The highest resident size so far, from /proc/self/status; 0 if it cannot be read. */
static inline uint64_t peak_resident_bytes(void)
{
    char status[4096];
    const int descriptor = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (descriptor < 0)
        return 0;
    const ssize_t count = read(descriptor, status, sizeof(status) - 1);
    close(descriptor);
    status[count > 0 ? count : 0] = '\0';
    const char *line = strstr(status, "VmHWM:");
    return line == NULL ? 0 : strtoull(line + 6, NULL, 10) << 10;
}

__attribute__((format(printf, 2, 3))) static inline void worker_add(struct worker *worker,
                                                                    const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const size_t room = sizeof(worker->line) - worker->length;
    const int length = vsnprintf(worker->line + worker->length, room, format, args);
    va_end(args);
    if (length < 0 || (size_t)length >= room)
        worker_fail("the report is too long");
    worker->length += (size_t)length;
}

static inline void worker_figure(struct worker *worker, const char *name, double value)
{
    worker_add(worker, "%s\"%s\":%.9g", worker->length == 0 ? "" : ",", name, value);
}

/* `note` says that the work was not finished; it must not hold quotes. */
static inline void worker_note(struct worker *worker, const char *note)
{
    worker_add(worker, "%s\"note\":\"%s\"", worker->length == 0 ? "" : ",", note);
}

static inline void worker_output(struct worker *worker, uint64_t hash)
{
    worker_add(worker, "%s\"output\":\"%016llx\"", worker->length == 0 ? "" : ",",
               (unsigned long long)hash);
}

static inline void worker_begin(struct worker *worker)
{
    getrusage(RUSAGE_SELF, &worker->before);
    worker->started_s = clock_s();
}

static inline void worker_add_usage(struct worker *worker, const struct rusage *before,
                                    const struct rusage *after)
{
    const double user_s = timeval_s(&after->ru_utime) - timeval_s(&before->ru_utime);
    const double sys_s = timeval_s(&after->ru_stime) - timeval_s(&before->ru_stime);
    worker_figure(worker, "user_s", user_s);
    worker_figure(worker, "sys_s", sys_s);
    worker_figure(worker, "cpu_s", user_s + sys_s);
    worker_figure(worker, "minor_faults", (double)(after->ru_minflt - before->ru_minflt));
    worker_figure(worker, "major_faults", (double)(after->ru_majflt - before->ru_majflt));
}

static inline void worker_end(struct worker *worker)
{
    struct rusage after;
    worker_figure(worker, "wall_s", clock_s() - worker->started_s);
    getrusage(RUSAGE_SELF, &after);
    worker_add_usage(worker, &worker->before, &after);
    worker_figure(worker, "peak_bytes", (double)peak_resident_bytes());
}

/* Writes the line; returns the exit status of the worker. */
static inline int worker_report(const struct worker *worker)
{
    char out[sizeof(worker->line) + 4];
    const int length = snprintf(out, sizeof(out), "{%s}\n", worker->line);
    return write(worker->descriptor, out, (size_t)length) == length ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- threads ---- */

/* The work of one thread; returns a number that goes into the output, by addition. */
typedef uint64_t worker_function(const struct worker *worker, unsigned index);

struct worker_task {
    const struct worker *worker;
    worker_function *function;
    unsigned index;
    uint64_t result;
};

static inline void *worker_task_run(void *argument)
{
    struct worker_task *task = (struct worker_task *)argument;
    task->result = task->function(task->worker, task->index);
    return NULL;
}

/* Runs worker->threads threads with indices from 0 and waits for them. One thread means this one:
 * a program that starts no thread is what most programs are. */
static inline uint64_t worker_run_threads(const struct worker *worker, worker_function *function)
{
    pthread_t threads[WORKER_THREADS_MAX];
    struct worker_task tasks[WORKER_THREADS_MAX];
    if (worker->threads == 1)
        return function(worker, 0);
    for (unsigned i = 0; i < worker->threads; i++) {
        tasks[i] = (struct worker_task){worker, function, i, 0};
        if (pthread_create(&threads[i], NULL, worker_task_run, &tasks[i]) != 0)
            worker_fail("cannot start a thread");
    }
    uint64_t sum = 0;
    for (unsigned i = 0; i < worker->threads; i++) {
        pthread_join(threads[i], NULL);
        sum += tasks[i].result;
    }
    return sum;
}

#endif
