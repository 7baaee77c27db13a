/* What a user writes first: an array that grows in a heap of its own. Built by install.sh against
 * an installed terrane, as C and as C++. */
#include <stdio.h>
#include <string.h>
#include <terrane/terrane.h>

int main(void)
{
    struct terrane_heap *heap;
    if (terrane_heap_create(NULL, NULL, &heap) != 0)
        return 1;
    char *text = (char *)terrane_heap_alloc(heap, 16);
    if (text == NULL)
        return 1;
    strcpy(text, "stays the same");
    for (size_t size = 16; size <= (size_t)1 << 24 && text != NULL; size *= 2)
        text = (char *)terrane_heap_resize(heap, text, size);
    const int differs = text == NULL || strcmp(text, "stays the same") != 0;
    terrane_free(text);
    terrane_heap_destroy(heap);

    char built[32];
    snprintf(built, sizeof(built), "%d.%d.%d", TERRANE_VERSION_MAJOR, TERRANE_VERSION_MINOR,
             TERRANE_VERSION_PATCH);
    printf("%s\n", terrane_version());
    return differs || strcmp(built, terrane_version()) != 0;
}
