/* An index of words: a hash table that doubles, an entry and a copied string for each word, a
 * growing list of positions for each entry, half of them removed again, the rest sorted. All the
 * calls of the family in the proportions of a small real program. */
#include "random.h"
#include "stamp.h"

#define LETTERS_MAX 16u

struct words {
    struct worker base;
    uint64_t steps;
    uint32_t vocabulary;
};

static struct words words;

struct entry {
    struct entry *next;
    char *word;
    uint32_t *positions;
    uint32_t count;
    uint32_t capacity;
    uint64_t hash;
};

struct index {
    struct entry **buckets;
    uint32_t bucket_count; /* a power of two */
    uint32_t entry_count;
};

static void *must(void *memory)
{
    if (memory == NULL)
        worker_fail("out of memory");
    return memory;
}

/* The word of a rank: its letters come from the rank, so that equal ranks are equal words. */
static void spell(uint64_t seed, uint32_t rank, char *word)
{
    struct random random = random_make(seed, rank);
    const uint32_t length = random_between(&random, 2, LETTERS_MAX - 1);
    for (uint32_t i = 0; i < length; i++)
        word[i] = (char)('a' + random_below(&random, 26));
    word[length] = '\0';
}

static uint64_t hash_word(const char *word)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *word != '\0'; word++)
        hash = (hash ^ (unsigned char)*word) * 0x100000001b3u;
    return hash;
}

static void index_rehash(struct index *index, uint32_t bucket_count)
{
    struct entry **buckets = must(calloc(bucket_count, sizeof(*buckets)));
    for (uint32_t i = 0; i < index->bucket_count; i++) {
        while (index->buckets[i] != NULL) {
            struct entry *entry = index->buckets[i];
            index->buckets[i] = entry->next;
            struct entry **bucket = &buckets[entry->hash & (bucket_count - 1)];
            entry->next = *bucket;
            *bucket = entry;
        }
    }
    free(index->buckets);
    index->buckets = buckets;
    index->bucket_count = bucket_count;
}

static struct entry *index_get(struct index *index, const char *word)
{
    const uint64_t hash = hash_word(word);
    struct entry *entry = index->buckets[hash & (index->bucket_count - 1)];
    while (entry != NULL && (entry->hash != hash || strcmp(entry->word, word) != 0))
        entry = entry->next;
    if (entry != NULL)
        return entry;
    if (index->entry_count++ >= index->bucket_count)
        index_rehash(index, index->bucket_count * 2);
    struct entry **bucket = &index->buckets[hash & (index->bucket_count - 1)];
    entry = must(calloc(1, sizeof(*entry)));
    entry->word = must(strdup(word));
    entry->hash = hash;
    entry->next = *bucket;
    *bucket = entry;
    return entry;
}

static void entry_note(struct entry *entry, uint32_t position)
{
    if (entry->count == entry->capacity) {
        entry->capacity = entry->capacity == 0 ? 4 : entry->capacity * 2;
        entry->positions =
            must(realloc(entry->positions, entry->capacity * sizeof(*entry->positions)));
    }
    entry->positions[entry->count++] = position;
}

static void entry_free(struct entry *entry)
{
    free(entry->positions);
    free(entry->word);
    free(entry);
}

/* Removes the entries of odd hash. */
static void index_halve(struct index *index)
{
    for (uint32_t i = 0; i < index->bucket_count; i++) {
        struct entry **link = &index->buckets[i];
        while (*link != NULL) {
            struct entry *entry = *link;
            if (entry->hash % 2 == 0) {
                link = &entry->next;
                continue;
            }
            *link = entry->next;
            index->entry_count--;
            entry_free(entry);
        }
    }
}

static int compare_entries(const void *left, const void *right)
{
    const struct entry *const *a = left;
    const struct entry *const *b = right;
    return strcmp((*a)->word, (*b)->word);
}

/* Sorts what is left, folds it into a number, and frees everything. */
static uint64_t index_finish(struct index *index)
{
    struct entry **sorted = must(malloc(index->entry_count * sizeof(*sorted) + 1));
    uint32_t count = 0;
    for (uint32_t i = 0; i < index->bucket_count; i++) {
        for (struct entry *entry = index->buckets[i]; entry != NULL; entry = entry->next)
            sorted[count++] = entry;
    }
    qsort(sorted, count, sizeof(*sorted), compare_entries);
    uint64_t hash = 0;
    for (uint32_t i = 0; i < count; i++) {
        hash = hash * 31 + sorted[i]->hash + sorted[i]->positions[sorted[i]->count - 1];
        entry_free(sorted[i]);
    }
    free(sorted);
    free(index->buckets);
    return hash;
}

static uint64_t index_words(const struct worker *worker, unsigned number)
{
    struct random random = random_make(worker->seed, number);
    struct index index = {NULL, 0, 0};
    index_rehash(&index, 64);
    char word[LETTERS_MAX];
    for (uint64_t i = 0; i < words.steps; i++) {
        /* The square of a uniform number: frequent words are much more frequent than rare ones. */
        const uint64_t uniform = random_below(&random, words.vocabulary);
        spell(worker->seed, (uint32_t)(uniform * uniform / words.vocabulary), word);
        entry_note(index_get(&index, word), (uint32_t)i);
        if (i == words.steps / 2)
            index_halve(&index);
    }
    return index_finish(&index);
}

int main(int argc, char **argv)
{
    struct worker *worker = &words.base;
    worker_init(worker, argc, argv);
    words.steps = worker_number(worker, "steps", 1000000);
    words.vocabulary = (uint32_t)worker_number(worker, "vocabulary", 200000);
    worker_check_arguments(worker);
    worker_begin(worker);
    const uint64_t sum = worker_run_threads(worker, index_words);
    worker_end(worker);
    worker_output(worker, sum);
    return worker_report(worker);
}
