/* Memory that the program has locked in RAM can be freed, shrunk and given back to the system: its
 * lock ends with it, as it does when memory is unmapped. */
#include "malloc_calls.h"

#include <sys/mman.h>

#define BLOCKS 8
#define SIZE   ((size_t)200000)

int main(void)
{
    void *blocks[BLOCKS];
    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = get_block(SIZE, i);
        if (mlock(blocks[i], SIZE) != 0)
            test_skip("mlock is not allowed here");
    }
    for (size_t i = 1; i < BLOCKS; i++)
        put_block(blocks[i], SIZE, i);
    malloc_trim(0);
    void *shrunk = hidden(realloc(blocks[0], SIZE / 4));
    EXPECT(shrunk != NULL);
    put_block(shrunk, SIZE / 4, 0);
    malloc_trim(0);
    return 0;
}
