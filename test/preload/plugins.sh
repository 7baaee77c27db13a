#!/usr/bin/env bash
# Libraries that come and go at run time: they allocate in constructors and destructors, keep
# memory of the program, leave theirs with it, and have thread-local destructors.
#
# RTLD_DEEPBIND makes a library look into its own dependencies first, so that it finds the C
# library's malloc before the preloaded one. Then no block may cross: neither from the program,
# nor from calls such as strdup, which allocate by the program's malloc. A library that is
# linked against the drop-in has no such border.
. "$(dirname "$0")/run.bash"

build=${terrane%/*}
preload=$build/libterrane-malloc.so

cat >plugin.c <<'C'
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
static char *kept;
static __thread char *of_thread;
static pthread_key_t key;
static void thread_ends(void *block)
{
    free(block);
    free(of_thread);
    of_thread = NULL;
}
__attribute__((constructor)) static void loaded(void)
{
    kept = malloc(100000);
    memset(kept, 'k', 100000);
    pthread_key_create(&key, thread_ends);
}
__attribute__((destructor)) static void unloaded(void)
{
    for (int i = 0; i < 100000; i++) {
        if (kept[i] != 'k')
            abort();
    }
    free(kept);
    if (!ALONE)
        free(strdup("something short"));
    pthread_key_delete(key);
}
void *plugin_get(size_t size)
{
    return memset(malloc(size), 'p', size);
}
void plugin_put(void *block)
{
    free(block);
}
void plugin_alone(void)
{
    void *blocks[200];
    for (int round = 0; round < 50; round++) {
        for (size_t i = 0; i < 200; i++)
            blocks[i] = realloc(calloc(i + 1, 100), (i + 1) * 300);
        for (size_t i = 0; i < 200; i++)
            free(blocks[i]);
    }
}
void plugin_in_thread(void)
{
    of_thread = malloc(3000);
    pthread_setspecific(key, malloc(500));
}
C
compile plugin.so -shared -fPIC -fno-builtin -DALONE=0 <plugin.c
compile plugin_alone.so -shared -fPIC -fno-builtin -DALONE=1 <plugin.c
compile plugin_linked.so -shared -fPIC -fno-builtin -DALONE=0 -Wl,--no-as-needed -L"$build" \
    -lterrane-malloc -Wl,-rpath,"$build" <plugin.c

compile program -fno-builtin -ldl -pthread <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define EXPECT(c) ((c) ? (void)0 : (printf("line %d: %s\n", __LINE__, #c), exit(1)))
static void *(*get)(size_t);
static void (*put)(void *);
static void (*alone)(void);
static void (*in_thread)(void);
static void *find(void *library, const char *name)
{
    void *symbol = dlsym(library, name);
    EXPECT(symbol != NULL);
    return symbol;
}
static const char *name;
static void *load(int flags)
{
    void *library = dlopen(name, RTLD_NOW | flags);
    EXPECT(library != NULL);
    *(void **)&get = find(library, "plugin_get");
    *(void **)&put = find(library, "plugin_put");
    *(void **)&alone = find(library, "plugin_alone");
    *(void **)&in_thread = find(library, "plugin_in_thread");
    return library;
}
static void *thread(void *context)
{
    in_thread();
    free(malloc(100));
    return context;
}
static void use(int shared)
{
    pthread_t threads[8];
    for (int i = 0; i < 8; i++)
        EXPECT(pthread_create(&threads[i], NULL, thread, NULL) == 0);
    alone();
    for (int i = 0; i < 8; i++)
        EXPECT(pthread_join(threads[i], NULL) == 0);
    put(get(1000));
    if (!shared)
        return;
    for (size_t size = 1; size < 3000000; size *= 5) {
        char *theirs = get(size);
        char *ours = malloc(size);
        theirs = realloc(theirs, 2 * size);
        EXPECT(malloc_usable_size(theirs) >= 2 * size && theirs[size - 1] == 'p');
        free(theirs);
        put(ours);
    }
}
static void *outlives(void *library)
{
    char *left = get(5000);
    EXPECT(dlclose(library) == 0);
    for (int i = 0; i < 5000; i++)
        EXPECT(left[i] == 'p');
    return left;
}
int main(int argc, char **argv)
{
    EXPECT(argc == 3);
    name = argv[1];
    int shared = strstr(name, "alone") == NULL;
    int flags = strcmp(argv[2], "deepbind") == 0 ? RTLD_DEEPBIND : 0;
    for (int round = 0; round < 30; round++) {
        void *library = load(round % 2 == 0 ? flags | RTLD_LOCAL : flags | RTLD_GLOBAL);
        use(shared);
        if (shared)
            free(outlives(library));
        else
            EXPECT(dlclose(library) == 0);
    }
    EXPECT(dlopen("./nothing.so", RTLD_NOW) == NULL && dlerror() != NULL);
    load(flags); /* stays to the end: its destructor runs at exit */
    puts("done");
    return 0;
}
C

for options in "" hardened=1; do
    for case in "plugin.so usual" "plugin_alone.so deepbind" "plugin_linked.so deepbind"; do
        # shellcheck disable=SC2086 # two arguments
        expect_status 0 env LD_PRELOAD="$preload" TERRANE_OPTIONS=$options ./program ./$case
        expect_words out "done"
    done
done

# A malloc of its own that a library brings for itself (here: the C library's, by dlmopen) does not
# disturb: blocks do not cross the border.
compile namespaces -ldl <<'C'
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
int main(void)
{
    void *library = dlmopen(LM_ID_NEWLM, "./plugin.so", RTLD_NOW);
    if (library == NULL)
        return puts(dlerror()), 1;
    void (*alone)(void);
    *(void **)&alone = dlsym(library, "plugin_alone");
    alone();
    free(malloc(1000));
    return dlclose(library) == 0 ? 0 : 1;
}
C
expect_status 0 env LD_PRELOAD="$preload" ./namespaces

# dlopen of the drop-in itself, without its being the program's malloc: it loads, its calls work by
# name, and it does not take over. After dlclose threads that have used it can end, and the process
# can fork and exit.
compile loads_it -ldl -pthread <<'C'
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static void *(*other_malloc)(size_t);
static void (*other_free)(void *);
static pthread_barrier_t barrier;
static void *use(void *context)
{
    other_free(other_malloc(100));
    pthread_barrier_wait(&barrier);
    pthread_barrier_wait(&barrier); /* closed now */
    return context;
}
int main(int argc, char **argv)
{
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL)
        return puts(dlerror()), 1;
    *(void **)&other_malloc = dlsym(library, "malloc");
    *(void **)&other_free = dlsym(library, "free");
    void *mine = malloc(100), *other = other_malloc(100);
    memset(other, 1, 100);
    other_free(other);
    free(mine);
    pthread_t thread;
    pthread_barrier_init(&barrier, NULL, 2);
    if (pthread_create(&thread, NULL, use, NULL) != 0)
        return 1;
    pthread_barrier_wait(&barrier);
    if (dlclose(library) != 0)
        return 1;
    pthread_barrier_wait(&barrier);
    pthread_join(thread, NULL);
    const pid_t pid = fork();
    if (pid == 0)
        return 0;
    int status;
    return waitpid(pid, &status, 0) == pid && status == 0 ? 0 : 1;
}
C
expect_status 0 ./loads_it "$preload"
