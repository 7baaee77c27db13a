/* Tables and their versions; see table.h.
 *
 * A file is read in two passes over its pages, which terrane_array_from_file maps: the first counts
 * rows and finds out what is a number; then the columns grow once, and the second pass fills them.
 *
 * Text is kept as its place in a dictionary of the column. New text is added at the dictionary's
 * end, also where rows are prepended: so one dictionary, seen to different lengths, serves all
 * versions. */
#include "table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- versions ---- */
struct version **find_version(struct store *store, struct text name)
{
    struct version **at = &store->versions;
    while (*at != NULL && !is_word(name, (*at)->name))
        at = &(*at)->next;
    return at;
}

const struct column *find_column(const struct version *version, struct text name)
{
    for (size_t i = 0; i < version->column_count; i++) {
        if (is_word(name, version->columns[i].name))
            return &version->columns[i];
    }
    complain("%s has no column '%.*s'", version->name, (int)name.length, name.at);
    return NULL;
}

static void let_go(struct version *version)
{
    for (size_t i = 0; i < version->column_count; i++) {
        terrane_array_release(version->columns[i].values);
        terrane_array_release(version->columns[i].ends);
        terrane_array_release(version->columns[i].bytes);
    }
    free(version);
}

/* One more version with the same columns. */
static struct version *go_on_from(const struct version *old)
{
    struct version *version = malloc(sizeof(*version));
    if (version == NULL)
        return NULL;
    *version = *old;
    for (size_t i = 0; i < version->column_count; i++) {
        terrane_array_reference(version->columns[i].values);
        if (version->columns[i].type == TEXT) {
            terrane_array_reference(version->columns[i].ends);
            terrane_array_reference(version->columns[i].bytes);
        }
    }
    return version;
}

static bool set_name(char *name, struct text text)
{
    if (text.length == 0 || text.length >= NAME_BYTES)
        return complain("'%.*s' is no name", (int)text.length, text.at);
    memcpy(name, text.at, text.length);
    name[text.length] = '\0';
    return true;
}

static bool create_column(struct terrane_space *space, struct column *column)
{
    static const size_t units[] = {sizeof(int64_t), sizeof(double), sizeof(uint32_t)};
    return fine(terrane_array_create(space, units[column->type], 0, &column->values)) &&
           (column->type != TEXT ||
            (fine(terrane_array_create(space, sizeof(size_t), 0, &column->ends)) &&
             fine(terrane_array_create(space, 1, 0, &column->bytes))));
}

/* ---- text ---- */

size_t texts(const struct column *column)
{
    return terrane_array_length(column->ends);
}

struct text text_at(const struct column *column, uint32_t place)
{
    const size_t *ends = terrane_array_data(column->ends);
    const char *bytes = terrane_array_data(column->bytes);
    const size_t start = place == 0 ? 0 : ends[place - 1];
    return (struct text){bytes + start, ends[place] - start};
}

static uint64_t hash(struct text text)
{
    uint64_t value = 0xcbf29ce484222325;
    for (size_t i = 0; i < text.length; i++)
        value = (value ^ (unsigned char)text.at[i]) * 0x100000001b3;
    return value ^ value >> 32;
}

/* Finds text in a dictionary while rows are added: an open hash table of places plus one, at most
 * half full. Made anew for each file, since every version may go on from its dictionary. */
struct finder {
    struct terrane_array *slots; /* uint32_t, a power of two */
};

static uint32_t *slot_of(const struct finder *finder, const struct column *column, struct text text)
{
    uint32_t *slots = terrane_array_writable(finder->slots);
    const size_t mask = terrane_array_length(finder->slots) - 1;
    size_t at = hash(text) & mask;
    while (slots[at] != 0 && compare(text_at(column, slots[at] - 1), text) != 0)
        at = (at + 1) & mask;
    return &slots[at];
}

/* Makes room for at least one more text. */
static int widen(struct finder *finder, const struct column *column)
{
    const size_t count = texts(column);
    size_t slots = terrane_array_length(finder->slots);
    if (2 * (count + 1) <= slots)
        return 0;
    while (slots < 4 * (count + 1))
        slots = slots == 0 ? 1024 : 2 * slots;
    int error = terrane_array_resize(&finder->slots, 0);
    if (error == 0)
        error = terrane_array_resize(&finder->slots, slots);
    for (uint32_t place = 0; place < count && error == 0; place++)
        *slot_of(finder, column, text_at(column, place)) = place + 1;
    return error;
}

/* The place of a text, which is added if it is new. */
static int place_of(struct finder *finder, struct column *column, struct text text, uint32_t *place)
{
    int error = widen(finder, column);
    if (error != 0)
        return error;
    uint32_t *slot = slot_of(finder, column, text);
    if (*slot == 0) {
        const size_t end = terrane_array_length(column->bytes) + text.length;
        error = terrane_array_append(&column->bytes, text.at, text.length);
        if (error == 0)
            error = terrane_array_push(&column->ends, &end, sizeof(end));
        if (error != 0)
            return error;
        *slot = (uint32_t)texts(column);
    }
    *place = *slot - 1;
    return 0;
}

/* ---- adding a file ---- */

/* A file's rows on their way into a version. */
struct load {
    struct terrane_space *space;
    struct version *version;
    struct reader reader;
    const char *file;
    size_t rows;
    enum type types[COLUMNS_MAX]; /* that the rows need */
    void *units[COLUMNS_MAX];     /* new ones of each column */
    struct finder finders[COLUMNS_MAX];
    size_t row; /* that is read */
    int error;
};

/* The first row: names the columns of a table that has none yet, and must fit them else. */
static bool read_header(struct load *load)
{
    struct version *version = load->version;
    const size_t known = version->column_count;
    size_t count = 0;
    for (bool last = false; !last; count++) {
        const struct text field = next_field(&load->reader, &last);
        if (known == 0 && count == COLUMNS_MAX)
            return complain("%s has more than %d columns", load->file, COLUMNS_MAX);
        if (known == 0 && !set_name(version->columns[count].name, field))
            return false;
        if (known != 0 && (count == known || !is_word(field, version->columns[count].name)))
            return complain("%s has other columns than %s", load->file, version->name);
    }
    if (known != 0 && count != known)
        return complain("%s has fewer columns than %s", load->file, version->name);
    version->column_count = count;
    return true;
}

static void note_type(void *into, size_t column, struct text field)
{
    enum type *const type = &((struct load *)into)->types[column];
    int64_t integer;
    double real;
    if (*type == INTEGER && !parse_integer(field, &integer))
        *type = REAL;
    if (*type == REAL && !parse_real(field, &real))
        *type = TEXT;
}

static void store_field(void *into, size_t index, struct text field)
{
    struct load *load = into;
    struct column *column = &load->version->columns[index];
    switch (column->type) {
    case INTEGER:
        parse_integer(field, (int64_t *)load->units[index] + load->row);
        break;
    case REAL:
        parse_real(field, (double *)load->units[index] + load->row);
        break;
    case TEXT:
        if (load->error == 0)
            load->error = place_of(&load->finders[index], column, field,
                                   (uint32_t *)load->units[index] + load->row);
        break;
    }
}

static bool read_rows(struct load *load, take_field *take)
{
    const size_t columns = load->version->column_count;
    for (load->row = 0; load->reader.at < load->reader.end; load->row++) {
        if (!read_row(&load->reader, columns, take, load))
            return complain("row %zu of %s has not %zu columns", load->row + 1, load->file,
                            columns);
    }
    load->rows = load->row;
    return fine(load->error);
}

/* Makes the columns of a new table, and grows those of any by the rows. */
static bool grow_columns(struct load *load, bool created, bool front)
{
    struct version *version = load->version;
    for (size_t i = 0; i < version->column_count; i++) {
        struct column *column = &version->columns[i];
        if (created) {
            column->type = load->types[i];
            if (!create_column(load->space, column))
                return false;
        }
        if (load->types[i] > column->type)
            return complain("column %s of %s does not fit", column->name, load->file);
        if (!fine(front ? terrane_array_extend_front(&column->values, load->rows, &load->units[i])
                        : terrane_array_extend(&column->values, load->rows, &load->units[i])))
            return false;
        if (column->type == TEXT &&
            !fine(terrane_array_create(NULL, sizeof(uint32_t), 0, &load->finders[i].slots)))
            return false;
    }
    version->rows += load->rows;
    return true;
}

/* Reads the text of a file into the version. */
static bool read_table(struct load *load, bool front)
{
    const bool created = load->version->column_count == 0;
    if (!read_header(load))
        return false;
    const char *const rows = load->reader.at;
    if (!read_rows(load, note_type) || !grow_columns(load, created, front))
        return false;
    load->reader.at = rows;
    return read_rows(load, store_field);
}

/* Maps a whole file; *out is NULL on failure. */
static void map_file(const char *file, struct terrane_array **out)
{
    struct stat about;
    int error = 0;
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    *out = NULL;
    if (fd < 0 || fstat(fd, &about) != 0)
        error = -errno;
    else
        error = terrane_array_from_file(NULL, 1, 0, fd, 0, (uint64_t)about.st_size, out);
    if (error != 0)
        complain("%s: %s", file, strerrordesc_np(-error));
    if (fd >= 0)
        close(fd);
}

/* Adds the rows of a file to a version that is not known yet. */
static bool add_file(struct terrane_space *space, struct version *version, const char *file,
                     bool front)
{
    struct terrane_array *text;
    struct load *load = calloc(1, sizeof(*load));
    map_file(file, &text);
    bool added = false;
    if (load != NULL && text != NULL &&
        fine(terrane_array_create(NULL, 1, 0, &load->reader.plain))) {
        load->space = space;
        load->version = version;
        load->file = file;
        load->reader.at = terrane_array_data(text);
        load->reader.end = load->reader.at + terrane_array_length(text);
        added = read_table(load, front);
        terrane_array_release(load->reader.plain);
        for (size_t i = 0; i < COLUMNS_MAX; i++)
            terrane_array_release(load->finders[i].slots);
    }
    terrane_array_release(text);
    free(load);
    return added;
}

bool add_version(struct store *store, const struct version *old, struct text name, const char *file,
                 bool front)
{
    if (*find_version(store, name) != NULL)
        return complain("there is a %.*s", (int)name.length, name.at);
    struct version *version = old == NULL ? calloc(1, sizeof(*version)) : go_on_from(old);
    if (version == NULL)
        return complain("no memory");
    if (!set_name(version->name, name) || !add_file(store->space, version, file, front)) {
        let_go(version);
        return false;
    }
    version->next = store->versions;
    store->versions = version;
    return true;
}

void drop_version(struct version **at)
{
    struct version *version = *at;
    *at = version->next;
    let_go(version);
}
