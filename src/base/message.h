/* Messages without stdio and without allocation, safe in a signal handler and inside malloc.
 *
 * A message is built in a buffer on the stack and written with one call. The format knows only what
 * an allocator has to say: %s string, %p pointer, %z size_t, %d int, %u unsigned, %%. */
#ifndef TN_MESSAGE_H
#define TN_MESSAGE_H

#include <stddef.h>

#define TN_MESSAGE_MAX 512

/* Formats into `buffer` of `size` bytes (at least 1), always terminated; returns the length. */
size_t tn_format(char *buffer, size_t size, const char *format, ...);

/* Writes "terrane: ", the message and a newline to standard error. errno is kept. */
void tn_warn(const char *format, ...);

/* The same, then aborts the process. For the user's crimes and for broken invariants of ours. */
_Noreturn void tn_die(const char *format, ...);

/* The sink, provided by the os floor: all of `text` to standard error, whatever happens. */
void tn_message_write(const char *text, size_t length);

#endif
