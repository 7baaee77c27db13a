/* The terminal while `terrane stat` refreshes: a screen of its own, keys that are read one by one
 * and not shown. It is given back whatever ends us, short of SIGKILL: signals that would end the
 * process only set a flag, and stat_wait returns. */
#include "stat.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define ENTER     "\033[?1049h\033[?25l" /* the other screen, no cursor */
#define LEAVE     "\033[?25h\033[?1049l"
#define HOME      "\033[H"
#define CLEAR_EOL "\033[K"
#define CLEAR_END "\033[J"

static struct termios before;
static bool entered;
static volatile sig_atomic_t stopped;

static void stop(int number)
{
    (void)number;
    stopped = 1;
}

void stat_signals_take(void)
{
    const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    struct sigaction action = {.sa_handler = stop};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction old;
        /* What whoever started us ignores stays ignored: nohup. */
        if (sigaction(numbers[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, NULL);
    }
}

static void print(const char *text)
{
    (void)text_write_all(STDOUT_FILENO, text, strlen(text));
}

bool stat_screen_enter(void)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0)
        return false;
    struct termios keys = before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    keys.c_cc[VMIN] = 0;
    keys.c_cc[VTIME] = 0;
    keys.c_cc[VSUSP] = _POSIX_VDISABLE; /* a stopped process would leave the terminal so */
    if (tcsetattr(STDIN_FILENO, TCSANOW, &keys) != 0)
        return false;
    entered = true;
    print(ENTER);
    return true;
}

void stat_screen_leave(void)
{
    if (!entered)
        return;
    print(LEAVE);
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    entered = false;
}

void stat_screen_show(const char *text)
{
    struct winsize size = {.ws_row = 24, .ws_col = 80};
    (void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
    struct text out = {.bytes = NULL};
    text_print(&out, HOME);
    for (unsigned row = 0; row < size.ws_row && *text != '\0'; row++) {
        const size_t length = strcspn(text, "\n");
        const size_t shown = length < size.ws_col ? length : size.ws_col;
        text_print(&out, "%s%.*s" CLEAR_EOL, row == 0 ? "" : "\r\n", (int)shown, text);
        text += text[length] == '\0' ? length : length + 1;
    }
    text_print(&out, CLEAR_END);
    print(text_string(&out));
    text_free(&out);
}

/* Reads what was typed; true if q is in it, or if nothing will ever be typed again. */
static bool key_ends(void)
{
    char keys[64];
    const ssize_t got = read(STDIN_FILENO, keys, sizeof(keys));
    if (got < 0)
        return errno != EINTR && errno != EAGAIN;
    return got == 0 || memchr(keys, 'q', (size_t)got) != NULL ||
           memchr(keys, 'Q', (size_t)got) != NULL;
}

static double now_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Signals are let in only while ppoll waits, so none falls between the look at the flag and the
 * sleep. */
bool stat_wait(double seconds)
{
    const double end = now_seconds() + seconds;
    struct pollfd keys = {.fd = entered ? STDIN_FILENO : -1, .events = POLLIN};
    sigset_t all;
    sigset_t usual;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &usual);
    bool ends = stopped != 0;
    for (double left; !ends && (left = end - now_seconds()) > 0;) {
        const struct timespec wait = {.tv_sec = (time_t)left,
                                      .tv_nsec = (long)((left - (double)(time_t)left) * 1e9)};
        const int ready = ppoll(&keys, 1, &wait, &usual);
        ends = stopped != 0 || (ready > 0 && key_ends());
    }
    sigprocmask(SIG_SETMASK, &usual, NULL);
    return ends;
}
