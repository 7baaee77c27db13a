/* Numbers and endings in words; see report_render.h. */
#include "report_render.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#define RING_COUNT 16u
#define WORD_BYTES 40u

static char *ring_next(void)
{
    static char ring[RING_COUNT][WORD_BYTES];
    static unsigned next;
    return ring[next++ % RING_COUNT];
}

/* Three digits that count. */
static const char *with_unit(double value, const char *unit)
{
    char *out = ring_next();
    const int decimals = value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    snprintf(out, WORD_BYTES, "%.*f %s", decimals, value, unit);
    return out;
}

const char *words_bytes(uint64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    if (bytes < 1024) {
        char *out = ring_next();
        snprintf(out, WORD_BYTES, "%u bytes", (unsigned)bytes);
        return out;
    }
    double value = (double)bytes;
    unsigned unit = 0;
    while (value >= 1023.5) {
        value /= 1024;
        unit++;
    }
    return with_unit(value, units[unit]);
}

const char *words_count(uint64_t count)
{
    if (count < 100000) {
        char *out = ring_next();
        snprintf(out, WORD_BYTES, "%u", (unsigned)count);
        return out;
    }
    const double value = (double)count;
    if (value < 999.5e3)
        return with_unit(value / 1e3, "thousand");
    return value < 999.5e6 ? with_unit(value / 1e6, "million") : with_unit(value / 1e9, "billion");
}

const char *words_seconds(double seconds)
{
    if (seconds < 1e-3)
        return with_unit(seconds * 1e6, "us");
    return seconds < 1 ? with_unit(seconds * 1e3, "ms") : with_unit(seconds, "s");
}

const char *words_percent(double part, double whole)
{
    char *out = ring_next();
    snprintf(out, WORD_BYTES, "%.1f %%", whole > 0 ? 100 * part / whole : 0);
    return out;
}

static void signal_words(char *out, size_t size, int number)
{
    const char *name = sigabbrev_np(number);
    if (name != NULL)
        snprintf(out, size, "killed by SIG%s", name);
    else
        snprintf(out, size, "killed by signal %d", number);
}

const char *words_end(const struct run_process *process)
{
    static char out[WORD_BYTES];
    switch (process->end) {
    case RUN_EXITED:
        snprintf(out, sizeof(out), "exit %d", process->exit_status);
        return out;
    case RUN_SIGNALED:
        signal_words(out, sizeof(out), process->exit_status);
        return out;
    case RUN_REPLACED:
        return "exec";
    case RUN_RUNNING:
        return "still running";
    case RUN_UNKNOWN:
        return "signal or _exit";
    }
    return "";
}

const char *words_end_of_run(const struct run_end *end)
{
    static char out[WORD_BYTES];
    if (WIFSIGNALED(end->status))
        signal_words(out, sizeof(out), WTERMSIG(end->status));
    else
        snprintf(out, sizeof(out), "exit status %d", WEXITSTATUS(end->status));
    return out;
}

const char *words_resize(enum tn_resize how)
{
    static const char *const names[TN_RESIZE_WAYS] = {"same class", "in place", "remapped",
                                                      "copied"};
    return names[how];
}
