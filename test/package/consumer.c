/* What a user writes first: an object that grows in a heap of its own, and an array of which an old
 * version is kept. Built by install.sh against an installed terrane, as C and as C++. */
#include <stdio.h>
#include <string.h>
#include <terrane/terrane.h>

/* True: an array grew, and a reference to it from before shows what it did. */
static bool versions_differ(void)
{
    struct terrane_array *array;
    double total = 0;
    if (terrane_array_create(NULL, sizeof(double), 0, &array) != 0)
        return false;
    for (int i = 0; i < 100000; i++) {
        const double unit = i;
        if (terrane_array_push(&array, &unit, sizeof(unit)) != 0)
            return false;
    }
    struct terrane_array *before = terrane_array_reference(array);
    const double more[] = {1, 2, 3};
    bool grown =
        terrane_array_append(&array, more, 3) == 0 && terrane_array_prepend(&array, more, 2) == 0;
    const double *units = (const double *)terrane_array_data(before);
    for (size_t i = 0; i < terrane_array_length(before); i++)
        total += units[i];
    grown = grown && terrane_array_length(array) == 100005 && total == 99999.0 * 50000;
    terrane_array_release(before);
    terrane_array_release(array);
    return grown;
}

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
    return differs || !versions_differ() || strcmp(built, terrane_version()) != 0;
}
