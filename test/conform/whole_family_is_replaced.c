/* All calls of the family come from one library, the one that serves malloc, so that no block can
 * reach a stranger; and the long obsolete cfree is not among them. */
#include "malloc_calls.h"

#include <dlfcn.h>

static const char *library_of(const char *name)
{
    Dl_info info;
    void *symbol = dlsym(RTLD_DEFAULT, name);
    EXPECT_THAT(symbol != NULL, "%s", name);
    EXPECT_THAT(dladdr(symbol, &info) != 0, "%s", name);
    return info.dli_fname;
}

int main(void)
{
    static const char *const names[] = {"free",          "calloc",
                                        "realloc",       "reallocarray",
                                        "aligned_alloc", "posix_memalign",
                                        "memalign",      "valloc",
                                        "pvalloc",       "malloc_usable_size",
                                        "malloc_trim",   "mallinfo",
                                        "mallinfo2",     "mallopt",
                                        "malloc_stats",  "malloc_info",
                                        "free_sized",    "free_aligned_sized"};
    const char *server = library_of("malloc");
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        EXPECT_THAT(strcmp(library_of(names[i]), server) == 0, "%s is of %s, malloc of %s",
                    names[i], library_of(names[i]), server);
    Dl_info info;
    void *old = dlsym(RTLD_DEFAULT, "cfree");
    EXPECT(old == NULL || dladdr(old, &info) == 0 || strcmp(info.dli_fname, server) != 0);
    return 0;
}
