/* Every block is aligned to 16, as large as asked for, and nobody else's: sizes from 0 to 64 KiB
 * one by one, and around each power of two and quarter step up to 64 MiB, hundreds alive at a time.
 */
#include "malloc_calls.h"

#define ALIVE 300

static struct {
    void *block;
    size_t size;
    uint64_t seed;
} alive[ALIVE];
static uint64_t count;

/* Puts a new block in the place of the oldest. */
static void turn_over(size_t size)
{
    const size_t slot = count % ALIVE;
    if (alive[slot].block != NULL)
        put_block(alive[slot].block, alive[slot].size, alive[slot].seed);
    alive[slot].block = get_block(size, count);
    alive[slot].size = size;
    alive[slot].seed = count++;
}

static void drain(void)
{
    for (size_t slot = 0; slot < ALIVE; slot++) {
        if (alive[slot].block != NULL)
            put_block(alive[slot].block, alive[slot].size, alive[slot].seed);
        alive[slot].block = NULL;
    }
}

static void around(size_t size)
{
    for (size_t near = 0; near < 5; near++)
        free(hidden(get_block(size + near - 2, size)));
    free(hidden(get_block(size + MALLOC_ALIGN, size)));
}

int main(void)
{
    for (size_t size = 0; size <= 65536; size++)
        turn_over(size);
    drain();
    for (size_t size = 65536; size > 16; size -= 13)
        turn_over(size);
    drain();
    for (size_t power = 64; power <= (size_t)32 << 20; power *= 2) {
        for (size_t quarter = 0; quarter < 4; quarter++)
            around(power + power / 4 * quarter);
    }
    return 0;
}
