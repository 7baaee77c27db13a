/* A table grows step by step and is then given to another space: not one byte of it is copied. */
#include <stdio.h>
#include <terrane/terrane.h>

int main(void)
{
    struct terrane_space *archive;
    struct terrane_heap *working, *kept;
    if (terrane_space_create(NULL, &archive) != 0 ||
        terrane_heap_create(archive, NULL, &kept) != 0 ||
        terrane_heap_create(NULL, NULL, &working) != 0) /* NULL: the default space, defaults */
        return 1;
    void *table = NULL;
    for (size_t mib = 1; mib <= 256; mib++) {
        char *grown = terrane_heap_resize(working, table, mib << 20);
        if (grown == NULL) /* then the table is still there, as it was */
            return 1;
        grown[(mib << 20) - 1] = 'x';
        table = grown;
    }
    if (terrane_heap_move(kept, &table) != 0)
        return 1;
    struct terrane_stats stats;
    terrane_space_stats(archive, &stats);
    printf("%zu bytes moved, %zu copied\n", (size_t)stats.move_bytes, (size_t)stats.copy_bytes);
    terrane_heap_destroy(working);
    return terrane_space_destroy(archive); /* with the heap and the table in it */
}
