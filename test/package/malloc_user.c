/* Succeeds if this program's malloc is terrane's: built by install.sh with terrane::malloc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(void)
{
    Dl_info info;
    void *(*volatile allocate)(size_t) = malloc;
    if (dladdr((void *)allocate, &info) == 0 || strstr(info.dli_fname, "libterrane-malloc") == NULL)
        return 1;
    char *text = (char *)allocate(100);
    printf("%s\n", text == NULL ? "no memory" : info.dli_fname);
    free(text);
    return text == NULL;
}
