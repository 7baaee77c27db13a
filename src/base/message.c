/* Message formatting; see message.h. */
#include "base/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

struct out {
    char *at;
    char *end; /* last byte, kept for the terminator */
};

static void put_char(struct out *out, char c)
{
    if (out->at < out->end)
        *out->at++ = c;
}

static void put_string(struct out *out, const char *text)
{
    for (text = text ? text : "(null)"; *text != '\0'; text++)
        put_char(out, *text);
}

static void put_number(struct out *out, uint64_t n, unsigned base)
{
    char digits[20];
    unsigned count = 0;
    do {
        digits[count++] = "0123456789abcdef"[n % base];
        n /= base;
    } while (n != 0);
    while (count > 0)
        put_char(out, digits[--count]);
}

static void put_int(struct out *out, int n)
{
    if (n < 0)
        put_char(out, '-');
    put_number(out, n < 0 ? 0u - (uint64_t)n : (uint64_t)n, 10);
}

static void put_argument(struct out *out, char conversion, va_list *args)
{
    switch (conversion) {
    case 's':
        put_string(out, va_arg(*args, const char *));
        break;
    case 'p':
        put_string(out, "0x");
        put_number(out, (uintptr_t)va_arg(*args, const void *), 16);
        break;
    case 'z':
        put_number(out, va_arg(*args, size_t), 10);
        break;
    case 'd':
        put_int(out, va_arg(*args, int));
        break;
    case 'u':
        put_number(out, va_arg(*args, unsigned), 10);
        break;
    default:
        put_char(out, conversion);
        break;
    }
}

static void format_into(struct out *out, const char *format, va_list *args)
{
    for (; *format != '\0'; format++) {
        if (*format != '%') {
            put_char(out, *format);
        } else if (*++format != '\0') {
            put_argument(out, *format, args);
        } else {
            break;
        }
    }
    *out->at = '\0';
}

size_t tn_format(char *buffer, size_t size, const char *format, ...)
{
    struct out out = {buffer, buffer + size - 1};
    va_list args;
    va_start(args, format);
    format_into(&out, format, &args);
    va_end(args);
    return (size_t)(out.at - buffer);
}

static void write_line(const char *format, va_list *args)
{
    const int saved_errno = errno;
    char line[TN_MESSAGE_MAX];
    struct out out = {line, line + sizeof(line) - 2};
    put_string(&out, "terrane: ");
    format_into(&out, format, args);
    *out.at++ = '\n';
    tn_message_write(line, (size_t)(out.at - line));
    errno = saved_errno;
}

void tn_warn(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, &args);
    va_end(args);
}

_Noreturn void tn_die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    write_line(format, &args);
    va_end(args);
    abort();
}
