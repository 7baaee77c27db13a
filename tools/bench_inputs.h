/* Inputs of the real programs, made from real files of this machine.
 *
 * Everything is made in the folder for temporary files, once for a run of the bench, from files in
 * a fixed order: the same machine makes the same inputs. */
#ifndef TERRANE_BENCH_INPUTS_H
#define TERRANE_BENCH_INPUTS_H

#include "text.h"

#include <stdbool.h>
#include <stddef.h>

/* Text files one behind the other, from headers, manuals and scripts of the system. */
struct bench_corpus {
    struct text text;
    size_t *starts; /* where each file begins, and the end of the last */
    size_t count;   /* files */
};

/* Collects about `size` bytes. False after a message if the machine has next to no text. */
bool bench_corpus_read(struct bench_corpus *corpus, size_t size);
void bench_corpus_free(struct bench_corpus *corpus);

/* Each writes one input into `dir`: 0 or a negative errno. */
int bench_input_text(const struct bench_corpus *corpus, const char *dir,
                     size_t size); /* text.txt */
int bench_input_words(const struct bench_corpus *corpus, const char *dir,
                      size_t size); /* words.tsv */
int bench_input_lines(const struct bench_corpus *corpus, const char *dir,
                      size_t size);                           /* lines.txt */
int bench_input_large_c(const char *dir, unsigned functions); /* large.c */

/* `commits` versions of the corpus's files in the repository `dir`/repository, through `git`. */
int bench_input_repository(const struct bench_corpus *corpus, const char *dir, const char *git,
                           unsigned commits);

#endif
