/* Which errors the verbs of the os floor may return, for tests in which they do. */
#ifndef TEST_FAULT_ERRORS_H
#define TEST_FAULT_ERRORS_H

#include "os/os_fault.h"

#include <errno.h>
#include <string.h>

/* Errors that a verb may return, from os.h. Ends with 0. */
struct verb_errors {
    const char *verb;
    int errors[5];
};
static const struct verb_errors verb_errors[] = {
    {"discard", {ENOMEM}},
    {"populate", {ENOMEM, ENOTSUP}},
    {"move", {ENOMEM, EFAULT, ENOTSUP}},
    {"advise_huge", {ENOMEM, ENOTSUP}},
    {"guard", {ENOMEM, ENOTSUP}},
    {"unguard", {ENOMEM, ENOTSUP}},
    {"unmap_pages", {ENOMEM, EBUSY}},
    {"mapped_pages", {ENOTSUP}},
    {"file_cached", {ENOTSUP}},
    {"file_backed", {ENOTSUP}},
    {"file_taken", {EIO, ENOMEM}},
    {"file_write_out", {EIO, ENOSPC, ENOMEM, ENOTSUP}},
    {"file_drop", {ENOTSUP}},
    {"file_memfd", {ENOMEM, EMFILE, ENFILE, ENOTSUP}},
    {"file_scratch", {ENOENT, ENOSPC, EMFILE, EIO}},
    {"file_resize", {ENOSPC, EFBIG, EIO, ENOMEM}},
    {"file_reserve", {ENOSPC, EIO, ENOMEM, ENOTSUP}},
    {"file_punch", {ENOTSUP, ENOSPC, EIO, ENOMEM}},
};

static inline const int *errors_of(int verb)
{
    static const int no_memory[] = {ENOMEM, 0};
    for (size_t i = 0; i < sizeof(verb_errors) / sizeof(verb_errors[0]); i++) {
        if (strcmp(verb_errors[i].verb, tn_fault_verb_names[verb]) == 0)
            return verb_errors[i].errors;
    }
    return no_memory;
}

#endif
