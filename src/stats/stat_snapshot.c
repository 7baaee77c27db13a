/* Reading stat pages; see stat_snapshot.h. The copy is the caller's own, so every access is
 * relaxed. */
#include "stats/stat_snapshot.h"

static uint64_t word(const _Atomic uint64_t *of_copy)
{
    return atomic_load_explicit(of_copy, memory_order_relaxed);
}

static uint64_t words_take(void *to, const _Atomic uint64_t *from, size_t count, uint64_t sum)
{
    uint64_t *words = to;
    for (size_t i = 0; i < count; i++) {
        words[i] = word(&from[i]);
        sum = tn_stat_fold(sum, words[i]);
    }
    return sum;
}

static bool is_same_build(const struct tn_stat_head *head)
{
    return head->version == TN_STAT_VERSION && head->slots_max == TN_SPACES_MAX &&
           head->stats_version == TERRANE_STATS_VERSION &&
           head->pool_version == TERRANE_POOL_STATS_VERSION &&
           head->space_words == TN_STAT_SPACE_WORDS && head->pool_words == TN_STAT_POOL_WORDS;
}

static bool is_used(const uint64_t *used, uint32_t id)
{
    return (used[id / 64] >> id % 64 & 1) != 0;
}

static uint64_t slot_take(const struct tn_stat_slot *slot, struct tn_figures *out, uint32_t id,
                          uint64_t sum)
{
    out->id = id;
    sum = tn_stat_fold(sum, id);
    sum = words_take(&out->backing, &slot->backing, 1, sum);
    sum = words_take(&out->space, slot->space, TN_STAT_SPACE_WORDS, sum);
    return words_take(&out->pool, slot->pool, TN_STAT_POOL_WORDS, sum);
}

enum tn_stat_verdict tn_stat_take(const struct tn_stat_page *copy, struct tn_stat_snapshot *out)
{
    const struct tn_stat_head *head = &copy->head;
    if (head->magic != TN_STAT_MAGIC)
        return TN_STAT_FOREIGN;
    if (!is_same_build(head))
        return TN_STAT_OTHER_VERSION;
    out->pid = head->pid;
    out->start_ns = head->start_ns;
    out->ended = atomic_load_explicit(&head->state, memory_order_relaxed) == TN_STAT_ENDED;
    const uint64_t sequence = word(&head->sequence);
    (void)words_take(out->used, head->used, TN_STAT_USED_WORDS, 0);
    uint64_t sum = words_take(&out->time_ns, &head->time_ns, 1, tn_stat_fold(0, sequence));
    for (uint32_t id = 0; id < TN_SPACES_MAX; id++) {
        if (is_used(out->used, id))
            sum = slot_take(&copy->slots[id].slot, &out->spaces[id], id, sum);
    }
    sum = words_take(&out->missing, &head->missing, 1, sum);
    sum = words_take(out->used, head->used, TN_STAT_USED_WORDS, sum);
    return sequence % 2 == 0 && sum == word(&head->checksum) ? TN_STAT_GOOD : TN_STAT_TORN;
}

bool tn_stat_figures(void *context, uint32_t id, struct tn_figures *out)
{
    const struct tn_stat_snapshot *snapshot = context;
    if (!is_used(snapshot->used, id))
        return false;
    *out = snapshot->spaces[id];
    return true;
}
