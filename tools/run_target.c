/* Finds the program and refuses, by name and with a remedy, what LD_PRELOAD does not reach.
 *
 * The loader puts a library in front of a program's own only if there is a loader (a static program
 * has none), if the program gains no privileges (then the loader ignores the environment), and if
 * program and library are of one kind. Without these checks such a program would just run, on the
 * system's malloc, and the user would compare a malloc with itself. Scripts are followed to their
 * interpreter, and `env` to the program that it starts. */
#include "run.h"
#include "text.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPT_DEPTH_MAX 5 /* the kernel follows four interpreters */
#define SCRIPT_LINE_MAX  256
#define ENV_WORDS_MAX    16

/* Programs come as path as the user knows it, and file as opened. */
struct image {
    const char *path;
    int fd;
};

static int check_program(const char *path, unsigned depth);

/* ---- finding ---- */

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* The first program of that name in PATH; NULL if there is none. The caller frees. */
static char *find_in_path(const char *name)
{
    const char *list = getenv("PATH");
    if (list == NULL)
        list = "/usr/local/bin:/usr/bin:/bin";
    while (true) {
        const size_t length = strcspn(list, ":");
        char *path = length == 0 ? string_print("./%s", name)
                                 : string_print("%.*s/%s", (int)length, list, name);
        if (is_program(path))
            return path;
        free(path);
        if (list[length] == '\0')
            return NULL;
        list += length + 1;
    }
}

static int check_runnable(const char *path)
{
    struct stat info;
    if (stat(path, &info) != 0) {
        const int status = errno == ENOENT || errno == ENOTDIR ? RUN_NOT_FOUND : RUN_NOT_EXECUTABLE;
        return run_error(status, "cannot run %s: %s; check the path", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode))
        return run_error(RUN_NOT_EXECUTABLE, "%s is a directory; name a program in it", path);
    if (!S_ISREG(info.st_mode))
        return run_error(RUN_NOT_EXECUTABLE, "%s is not a regular file; name a program", path);
    if (access(path, X_OK) != 0)
        return run_error(RUN_NOT_EXECUTABLE, "%s is not executable: %s; try `chmod +x %s`", path,
                         strerror(errno), path);
    return 0;
}

/* ---- privileges ---- */

static const char *privilege_of(const struct image *image)
{
    struct stat info;
    if (fstat(image->fd, &info) != 0)
        return NULL;
    if ((info.st_mode & S_ISUID) != 0)
        return "set-uid";
    if ((info.st_mode & S_ISGID) != 0 && (info.st_mode & S_IXGRP) != 0)
        return "set-gid";
    if (fgetxattr(image->fd, "security.capability", NULL, 0) > 0)
        return "given file capabilities";
    return NULL;
}

static int check_privileges(const struct image *image)
{
    const char *privilege = privilege_of(image);
    if (privilege == NULL)
        return 0;
    const char *slash = strrchr(image->path, '/');
    const char *name = slash == NULL ? image->path : slash + 1;
    return run_error(RUN_NOT_EXECUTABLE,
                     "%s is %s, so the loader refuses to preload anything; run a copy, which is "
                     "not: `cp %s ./%s && terrane run -- ./%s`",
                     image->path, privilege, image->path, name, name);
}

/* ---- ELF ---- */

static bool read_at(int fd, void *buffer, size_t size, uint64_t offset)
{
    return pread(fd, buffer, size, (off_t)offset) == (ssize_t)size;
}

/* The loader that an ELF file asks for, in `interpreter`; empty if it asks for none. False: the
 * file is cut short. */
static bool read_interpreter(int fd, const ElfW(Ehdr) * header, char *interpreter, size_t size)
{
    interpreter[0] = '\0';
    for (unsigned i = 0; i < header->e_phnum; i++) {
        ElfW(Phdr) segment;
        const uint64_t offset = header->e_phoff + (uint64_t)i * header->e_phentsize;
        if (!read_at(fd, &segment, sizeof(segment), offset))
            return false;
        if (segment.p_type != PT_INTERP)
            continue;
        const size_t length = segment.p_filesz < size ? segment.p_filesz : size - 1;
        interpreter[length] = '\0';
        return read_at(fd, interpreter, length, segment.p_offset);
    }
    return true;
}

/* What this very program is: the library beside it is of the same kind. */
static bool own_image(ElfW(Ehdr) * header, char *interpreter, size_t size)
{
    const int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    const bool known =
        read_at(fd, header, sizeof(*header), 0) && read_interpreter(fd, header, interpreter, size);
    close(fd);
    return known;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

static int check_elf(const struct image *image, const ElfW(Ehdr) * header)
{
    ElfW(Ehdr) own;
    char own_loader[SCRIPT_LINE_MAX];
    const bool own_known = own_image(&own, own_loader, sizeof(own_loader));
    if (own_known &&
        (header->e_ident[EI_CLASS] != own.e_ident[EI_CLASS] ||
         header->e_ident[EI_DATA] != own.e_ident[EI_DATA] || header->e_machine != own.e_machine))
        return run_error(RUN_NOT_EXECUTABLE,
                         "%s is built for another kind of processor than libterrane-malloc.so; use "
                         "a build of terrane for that kind",
                         image->path);
    char loader[SCRIPT_LINE_MAX];
    if (header->e_phentsize < sizeof(ElfW(Phdr)) ||
        !read_interpreter(image->fd, header, loader, sizeof(loader)))
        return run_error(RUN_NOT_EXECUTABLE,
                         "%s is damaged: its program headers cannot be read; "
                         "install it anew",
                         image->path);
    if (loader[0] == '\0')
        return run_error(RUN_NOT_EXECUTABLE,
                         "%s is statically linked, so nothing can be preloaded; use a dynamically "
                         "linked build of it, or link it with libterrane-malloc.a",
                         image->path);
    if (own_known && own_loader[0] != '\0' && strcmp(base_name(loader), base_name(own_loader)) != 0)
        return run_error(RUN_NOT_EXECUTABLE,
                         "%s uses another C library (its loader is %s, terrane's is %s); use a "
                         "build of terrane for that library",
                         image->path, loader, own_loader);
    return 0;
}

/* ---- scripts ---- */

/* Follows `#!/usr/bin/env [options] [NAME=VALUE] program` to the program. What it cannot read it
 * lets pass: env itself can be preloaded, and will report its own errors. */
static int check_env(char *words, unsigned depth)
{
    char *rest = NULL;
    unsigned count = 0;
    for (char *word = strtok_r(words, " \t", &rest); word != NULL && count < ENV_WORDS_MAX;
         word = strtok_r(NULL, " \t", &rest), count++) {
        if (word[0] == '-' || strchr(word, '=') != NULL)
            continue;
        char *path = strchr(word, '/') != NULL ? string_copy(word) : find_in_path(word);
        const int status = path == NULL ? 0 : check_program(path, depth + 1);
        free(path);
        return status;
    }
    return 0;
}

static int check_script(const struct image *image, char *line, unsigned depth)
{
    line[strcspn(line, "\n")] = '\0';
    char *interpreter = line + strspn(line, " \t");
    char *words = interpreter + strcspn(interpreter, " \t");
    if (*words != '\0')
        *words++ = '\0';
    if (*interpreter == '\0')
        return run_error(RUN_NOT_EXECUTABLE,
                         "%s is a script that names no interpreter behind #!; "
                         "start it with one: `terrane run -- sh %s`",
                         image->path, image->path);
    if (depth + 1 >= SCRIPT_DEPTH_MAX)
        return run_error(RUN_NOT_EXECUTABLE, "%s: too many scripts that interpret each other",
                         image->path);
    if (access(interpreter, F_OK) != 0)
        return run_error(RUN_NOT_FOUND,
                         "%s is a script for %s: %s; install it or correct the first "
                         "line",
                         image->path, interpreter, strerror(errno));
    const int status = check_program(interpreter, depth + 1);
    if (status != 0)
        return depth > 0 ? status : run_error(status, "%s is a script for it", image->path);
    return strcmp(base_name(interpreter), "env") == 0 ? check_env(words, depth + 1) : 0;
}

static int check_contents(const struct image *image, unsigned depth)
{
    union {
        ElfW(Ehdr) header;
        char text[SCRIPT_LINE_MAX];
    } start = {.text = ""};
    const ssize_t got = pread(image->fd, start.text, sizeof(start.text) - 1, 0);
    if (got < 0)
        return run_error(RUN_NOT_EXECUTABLE, "cannot read %s: %s", image->path, strerror(errno));
    if (got > 2 && memcmp(start.text, "#!", 2) == 0)
        return check_script(image, start.text + 2, depth);
    if ((size_t)got < sizeof(start.header) || memcmp(start.text, ELFMAG, SELFMAG) != 0)
        return run_error(RUN_NOT_EXECUTABLE,
                         "%s is neither a program nor a script that begins with #!; start it with "
                         "its interpreter, for example `terrane run -- sh %s`",
                         image->path, image->path);
    const int status = check_privileges(image);
    return status != 0 ? status : check_elf(image, &start.header);
}

static int check_program(const char *path, unsigned depth)
{
    const int status = check_runnable(path);
    if (status != 0)
        return status;
    const struct image image = {path, open(path, O_RDONLY | O_CLOEXEC)};
    if (image.fd < 0)
        return 0; /* executable but not readable: nothing to be learnt, and nothing forbidden */
    const int result = check_contents(&image, depth);
    close(image.fd);
    return result;
}

int run_target_find(const char *name, char **path)
{
    char *found = strchr(name, '/') != NULL ? string_copy(name) : find_in_path(name);
    if (found == NULL)
        return run_error(RUN_NOT_FOUND, "there is no program '%s' in PATH; give its path", name);
    const int status = check_program(found, 0);
    if (status != 0)
        free(found);
    else
        *path = found;
    return status;
}
