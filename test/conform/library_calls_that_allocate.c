/* Blocks that the C library allocates for the program are freed by the program, and blocks that the
 * program hands over are grown by the library: both sides must be on the same malloc. */
#include "malloc_calls.h"
#include "process.h"

#include <dirent.h>
#include <glob.h>
#include <locale.h>
#include <regex.h>
#include <search.h>
#include <wchar.h>
#include <wordexp.h>

/* Passes a result through realloc and free: a block of another malloc does not survive that. */
static void adopt(void *block)
{
    EXPECT(block != NULL);
    EXPECT(malloc_usable_size(block) > 0);
    block = hidden(realloc(block, 50000));
    EXPECT(block != NULL);
    free(block);
}

static void strings(void)
{
    char *text = NULL;
    adopt(strdup("a string"));
    adopt(strndup("a string", 3));
    adopt(wcsdup(L"wide"));
    EXPECT(asprintf(&text, "%0500d", 7) == 500);
    adopt(text);
    adopt(realpath("/proc/self/..", NULL));
    adopt(getcwd(NULL, 0));
    EXPECT(setenv("TEST_VARIABLE", "value", 1) == 0);
    EXPECT(strcmp(getenv("TEST_VARIABLE"), "value") == 0);
    EXPECT(unsetenv("TEST_VARIABLE") == 0);
}

/* getline grows a block that the program allocated. */
static void lines(void)
{
    FILE *file = tmpfile();
    EXPECT(file != NULL);
    for (int length = 1; length < 5000; length += 777)
        EXPECT(fprintf(file, "%0*d\n", length, 1) == length + 1);
    rewind(file);
    size_t room = 4;
    char *line = hidden(malloc(room));
    for (int length = 1; length < 5000; length += 777) {
        EXPECT(getline(&line, &room, file) == length + 1);
        EXPECT(room > (size_t)length && malloc_usable_size(line) >= room);
    }
    rewind(file);
    EXPECT(getdelim(&line, &room, EOF, file) > 5000);
    adopt(line);
    EXPECT(fclose(file) == 0);
}

static ssize_t cookie_write(void *cookie, const char *text, size_t length)
{
    size_t *total = cookie;
    (void)text;
    *total += length;
    return (ssize_t)length;
}

static void streams(void)
{
    char *text = NULL;
    size_t length = 0, total = 0;
    FILE *file = open_memstream(&text, &length);
    EXPECT(file != NULL);
    for (int i = 0; i < 20000; i++)
        EXPECT(fprintf(file, "%d ", i) > 0);
    EXPECT(fclose(file) == 0);
    EXPECT(length == 108890 && strncmp(text, "0 1 2 ", 6) == 0);
    adopt(text);
    file = fopencookie(&total, "w", (cookie_io_functions_t){.write = cookie_write});
    EXPECT(file != NULL && setvbuf(file, NULL, _IOFBF, 100000) == 0);
    EXPECT(fprintf(file, "%090000d", 1) == 90000);
    EXPECT(fclose(file) == 0 && total == 90000);
    file = fmemopen(NULL, 1000, "w+");
    EXPECT(file != NULL && fclose(file) == 0);
    file = popen("echo $((6 * 7))", "r");
    int answer = 0;
    EXPECT(file != NULL && fscanf(file, "%d", &answer) == 1 && answer == 42);
    EXPECT(pclose(file) == 0);
}

static void directories(void)
{
    struct dirent **entries = NULL;
    const int count = scandir("/proc/self", &entries, NULL, alphasort);
    EXPECT(count > 10);
    for (int i = 0; i < count; i++)
        free(entries[i]);
    adopt(entries);
    glob_t found;
    EXPECT(glob("/proc/self/s*", 0, NULL, &found) == 0 && found.gl_pathc > 2);
    globfree(&found);
    wordexp_t words;
    EXPECT(wordexp("a 'b c' \"$HOME\"", &words, WRDE_NOCMD) == 0 && words.we_wordc == 3);
    wordfree(&words);
}

static int by_number(const void *a, const void *b)
{
    const int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

/* qsort takes memory for large arrays; tsearch's nodes and hsearch's table are the library's. */
static void algorithms(void)
{
    static int numbers[100000];
    void *root = NULL;
    for (int i = 0; i < 100000; i++)
        numbers[i] = (int)((unsigned)i * 7919u % 100000u);
    qsort(numbers, 100000, sizeof(int), by_number);
    for (int i = 0; i < 100000; i++)
        EXPECT(numbers[i] == i);
    for (int i = 0; i < 1000; i++)
        EXPECT(tsearch(&numbers[i], &root, by_number) != NULL);
    for (int i = 0; i < 500; i++)
        EXPECT(tdelete(&numbers[i], &root, by_number) != NULL);
    EXPECT(hcreate(1000) != 0);
    hdestroy();
    regex_t regex;
    EXPECT(regcomp(&regex, "^(a|b)*c{2,5}[[:alpha:]]+$", REG_EXTENDED) == 0);
    EXPECT(regexec(&regex, "ababccccx", 0, NULL, 0) == 0);
    regfree(&regex);
    EXPECT(setlocale(LC_ALL, "C.UTF-8") != NULL || setlocale(LC_ALL, "C") != NULL);
}

int main(void)
{
    strings();
    lines();
    streams();
    directories();
    algorithms();
    EXPECT(system("exit 3") == 3 << 8);
    return 0;
}
