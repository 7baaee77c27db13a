/* Inputs of the real programs; see bench_inputs.h. */
#define _GNU_SOURCE
#include "bench_inputs.h"

#include <ctype.h>
#include <errno.h>
#include <fts.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define FILE_BYTES_MAX   ((off_t)200 << 10)
#define FILE_BYTES_MIN   ((off_t)200)
#define CORPUS_BYTES_MIN ((size_t)256 << 10)
#define LINE_BYTES_MAX   500u

static const char *const roots[] = {"/usr/include", "/usr/share/perl", "/usr/lib/python3",
                                    "/usr/share/doc", "/usr/share/common-licenses"};

static bool has_text_name(const char *name)
{
    static const char *const endings[] = {".h", ".hpp", ".pm", ".pl", ".py", ".txt", ".md"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot != NULL && i < sizeof(endings) / sizeof(endings[0]); i++) {
        if (strcmp(dot, endings[i]) == 0)
            return true;
    }
    return false;
}

static void add_file(struct bench_corpus *corpus, const char *path)
{
    const size_t start = corpus->text.length;
    if (text_read_file(&corpus->text, path) != 0 ||
        memchr(corpus->text.bytes + start, '\0', corpus->text.length - start) != NULL) {
        corpus->text.length = start;
        return;
    }
    corpus->starts = memory_resize(corpus->starts, corpus->count + 2, sizeof(size_t));
    corpus->starts[corpus->count++] = start;
    corpus->starts[corpus->count] = corpus->text.length;
}

static int by_name(const FTSENT **left, const FTSENT **right)
{
    return strcmp((*left)->fts_name, (*right)->fts_name);
}

static void add_tree(struct bench_corpus *corpus, const char *root, size_t size)
{
    char *path = string_copy(root);
    char *paths[] = {path, NULL};
    FTS *tree = fts_open(paths, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    for (FTSENT *entry = NULL;
         tree != NULL && corpus->text.length < size && (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_info == FTS_F && entry->fts_statp->st_size <= FILE_BYTES_MAX &&
            entry->fts_statp->st_size >= FILE_BYTES_MIN && has_text_name(entry->fts_name))
            add_file(corpus, entry->fts_accpath);
    }
    if (tree != NULL)
        fts_close(tree);
    free(path);
}

bool bench_corpus_read(struct bench_corpus *corpus, size_t size)
{
    *corpus = (struct bench_corpus){.count = 0};
    const size_t root_count = sizeof(roots) / sizeof(roots[0]);
    for (size_t i = 0; i < root_count; i++)
        add_tree(corpus, roots[i], size * (i + 1) / root_count);
    if (corpus->text.length >= CORPUS_BYTES_MIN)
        return true;
    fprintf(stderr,
            "terrane bench: found only %zu bytes of text in /usr/include, /usr/share and "
            "/usr/lib/python3 to make inputs of\n",
            corpus->text.length);
    return false;
}

void bench_corpus_free(struct bench_corpus *corpus)
{
    text_free(&corpus->text);
    free(corpus->starts);
    corpus->starts = NULL;
}

static int write_input(const char *dir, const char *name, const struct text *content)
{
    char *path = string_print("%s/%s", dir, name);
    const int status = text_write_file(path, text_string(content), content->length);
    free(path);
    return status;
}

int bench_input_text(const struct bench_corpus *corpus, const char *dir, size_t size)
{
    char *path = string_print("%s/text.txt", dir);
    const size_t length = corpus->text.length < size ? corpus->text.length : size;
    const int status = text_write_file(path, corpus->text.bytes, length);
    free(path);
    return status;
}

int bench_input_words(const struct bench_corpus *corpus, const char *dir, size_t size)
{
    struct text out = {NULL, 0, 0};
    const char *at = corpus->text.bytes;
    const char *end = at + corpus->text.length;
    for (unsigned line = 1, place = 1; at < end && out.length < size;) {
        if (*at == '\n') {
            line++;
            place = 1;
        }
        if (!isalnum((unsigned char)*at)) {
            at++;
            continue;
        }
        const char *start = at;
        while (at < end && isalnum((unsigned char)*at))
            at++;
        text_print(&out, "%u\t%u\t%.*s\n", line, place++, (int)(at - start), start);
    }
    const int status = write_input(dir, "words.tsv", &out);
    text_free(&out);
    return status;
}

static uint64_t mix_bits(uint64_t bits)
{
    bits = (bits ^ (bits >> 30)) * 0xbf58476d1ce4e5b9u;
    bits = (bits ^ (bits >> 27)) * 0x94d049bb133111ebu;
    return bits ^ (bits >> 31);
}

/* Lines of the corpus behind a random key, again and again until there are enough. */
int bench_input_lines(const struct bench_corpus *corpus, const char *dir, size_t size)
{
    struct text out = {NULL, 0, 0};
    const char *at = corpus->text.bytes;
    for (uint64_t number = 1; out.length < size; number++) {
        size_t length = strcspn(at, "\n");
        const char *next = at[length] == '\0' ? corpus->text.bytes : at + length + 1;
        length = length < LINE_BYTES_MAX ? length : LINE_BYTES_MAX;
        text_print(&out, "%08x ", (unsigned)mix_bits(number));
        text_append(&out, at, length);
        text_append(&out, "\n", 1);
        at = next;
    }
    const int status = write_input(dir, "lines.txt", &out);
    text_free(&out);
    return status;
}

static void put_function(struct text *out, unsigned number)
{
    text_print(out,
               "struct node%u { struct node%u *next; double value[%u]; int kind; };\n"
               "static int visit%u(struct node%u *node, int depth)\n{\n    int sum = depth;\n",
               number, number, number % 7 + 1, number, number);
    for (unsigned i = 0; i < 4 + number % 5; i++) {
        const unsigned bits = (unsigned)mix_bits(number * 31 + i);
        text_print(out,
                   "    for (int i = 0; i < %u && node; i++, node = node->next) {\n"
                   "        switch ((node->kind + i) %% %u) {\n"
                   "        case 0: sum += (int)(node->value[i %% %u] * %u.5); break;\n"
                   "        case 1: sum ^= node->kind << %u; break;\n"
                   "        default: node->value[0] += sum %% %u; break;\n        }\n    }\n",
                   bits % 100 + 1, bits % 5 + 2, number % 7 + 1, bits % 1000, bits % 13,
                   bits % 97 + 2);
    }
    text_print(out, "    return node ? sum : -sum;\n}\n");
    text_print(out, "int enter%u(void *list) { return visit%u(list, %u); }\n\n", number, number,
               number % 50);
}

int bench_input_large_c(const char *dir, unsigned functions)
{
    struct text out = {NULL, 0, 0};
    text_print(&out, "#include <math.h>\n#include <stdio.h>\n#include <stdlib.h>\n"
                     "#include <string.h>\n#include <time.h>\n\n");
    for (unsigned i = 0; i < functions; i++)
        put_function(&out, i);
    const int status = write_input(dir, "large.c", &out);
    text_free(&out);
    return status;
}

/* The corpus's file `index` as it is in `version`: some of its lines, others in each version. */
static void put_version(const struct bench_corpus *corpus, size_t index, unsigned version,
                        struct text *out)
{
    struct text kept = {NULL, 0, 0};
    const char *end = corpus->text.bytes + corpus->starts[index + 1];
    const char *at = corpus->text.bytes + corpus->starts[index];
    for (uint64_t line = 0; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *next = newline == NULL ? end : newline + 1;
        if ((mix_bits(line * 131 + index) + version) % 23 != 0)
            text_append(&kept, at, (size_t)(next - at));
        at = next;
    }
    text_print(out, "M 100644 inline folder%zu/file%zu\ndata %zu\n", index % 20, index,
               kept.length);
    text_append(out, text_string(&kept), kept.length);
    text_append(out, "\n", 1);
    text_free(&kept);
}

static void put_commit(const struct bench_corpus *corpus, unsigned number, size_t files,
                       struct text *out)
{
    const size_t changed = number == 0 ? files : 12;
    text_print(out,
               "commit refs/heads/main\ncommitter bench <bench@localhost> %u +0000\n"
               "data <<END\nversion %u\nEND\n",
               1700000000u + number * 3600, number);
    for (size_t i = 0; i < changed; i++) {
        const size_t index = number == 0 ? i : mix_bits((uint64_t)number * 1000 + i) % files;
        put_version(corpus, index, number, out);
    }
    text_append(out, "\n", 1);
}

int bench_input_repository(const struct bench_corpus *corpus, const char *dir, const char *git,
                           unsigned commits)
{
    char *command = string_print("'%s' init -q -b main '%s/repository' 2>'%s/git.log' && "
                                 "'%s' -C '%s/repository' fast-import --quiet 2>>'%s/git.log'",
                                 git, dir, dir, git, dir, dir);
    /* If git fails, writing must fail too and not end this process. */
    void (*const old_handler)(int) = signal(SIGPIPE, SIG_IGN);
    FILE *pipe = popen(command, "w");
    free(command);
    if (pipe == NULL)
        return -errno;
    const size_t files = corpus->count < 400 ? corpus->count : 400;
    struct text out = {NULL, 0, 0};
    for (unsigned i = 0; i < commits; i++) {
        text_clear(&out);
        put_commit(corpus, i, files, &out);
        fwrite(out.bytes, 1, out.length, pipe);
    }
    text_free(&out);
    const int status = pclose(pipe);
    signal(SIGPIPE, old_handler);
    return status == 0 ? 0 : -EIO;
}
