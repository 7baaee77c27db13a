/* The text heap profile, through a small buffer and without stdio: the process may be at its very
 * end, and nothing here may allocate. */
#include "profile_write.h"

#include "base/base.h"
#include "os/os.h"
#include "profile_table.h"

#include <stdint.h>

#define BUFFER_BYTES ((size_t)8192)
#define LINE_BYTES   ((size_t)160) /* room for counts, or for one address */

struct writer {
    int fd;
    int error; /* the first one; nothing is written after it */
    size_t length;
    char buffer[BUFFER_BYTES];
};

static void flush(struct writer *writer)
{
    if (writer->error == 0 && writer->length > 0)
        writer->error = tn_os_file_write(writer->fd, writer->buffer, writer->length);
    writer->length = 0;
}

/* The place for one formatted piece; `written` says how long it became. */
static char *room(struct writer *writer)
{
    if (writer->length + LINE_BYTES > BUFFER_BYTES)
        flush(writer);
    return writer->buffer + writer->length;
}

static void written(struct writer *writer, size_t length)
{
    writer->length += length;
}

static void write_counts(struct writer *writer, const struct tn_profile_site *site)
{
    written(writer, tn_format(room(writer), LINE_BYTES, "%z: %z [%z: %z] @",
                              (size_t)site->live_count, (size_t)site->live_bytes,
                              (size_t)site->ever_count, (size_t)site->ever_bytes));
}

static void write_total(struct writer *writer, size_t interval_bytes)
{
    struct tn_profile_site total = {.depth = 0};
    for (const struct tn_profile_site *site = tn_profile_site_first(); site != NULL;
         site = site->newer) {
        total.live_count += site->live_count;
        total.live_bytes += site->live_bytes;
        total.ever_count += site->ever_count;
        total.ever_bytes += site->ever_bytes;
    }
    written(writer, tn_format(room(writer), LINE_BYTES, "heap profile: "));
    write_counts(writer, &total);
    written(writer, tn_format(room(writer), LINE_BYTES, " heap_v2/%z\n", interval_bytes));
}

static void write_sites(struct writer *writer)
{
    for (const struct tn_profile_site *site = tn_profile_site_first(); site != NULL;
         site = site->newer) {
        write_counts(writer, site);
        for (uint32_t i = 0; i < site->depth; i++)
            written(writer, tn_format(room(writer), LINE_BYTES, " %p", site->frames[i]));
        written(writer, tn_format(room(writer), LINE_BYTES, "\n"));
    }
}

/* So that pprof finds the programs and libraries that the addresses belong to. */
static void write_mappings(struct writer *writer)
{
    written(writer, tn_format(room(writer), LINE_BYTES, "\nMAPPED_LIBRARIES:\n"));
    flush(writer);
    int maps;
    if (tn_os_file_open("/proc/self/maps", false, &maps) != 0)
        return;
    size_t got = 1;
    while (writer->error == 0 && got > 0) {
        writer->error = tn_os_file_read(maps, writer->buffer, BUFFER_BYTES, &got);
        writer->length = writer->error == 0 ? got : 0;
        flush(writer);
    }
    tn_os_file_close(maps);
}

int tn_profile_write(const char *path, size_t interval_bytes)
{
    struct writer writer = {.length = 0};
    writer.error = tn_os_file_open(path, true, &writer.fd);
    if (writer.error != 0)
        return writer.error;
    write_total(&writer, interval_bytes);
    write_sites(&writer);
    write_mappings(&writer);
    flush(&writer);
    tn_os_file_close(writer.fd);
    return writer.error;
}
