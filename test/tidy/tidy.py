#!/usr/bin/env python3
"""Style and layering as a test: the rules of this repository that a machine can check.

  tidy.py [CHECK...]    runs the checks (all) on the tree; one line a breach; exit status 1 if any
  tidy.py --list        names the checks
  tidy.py --self-test   proves that every check can fail: runs it on small bad trees, which it must
                        complain about, and on a good one, which it must not

A check is a function from a Tree to breaches; a breach is "path:line: what is wrong". The bad trees
are in tidy_cases.py. `exports` reads the built libraries of the release variant.
"""
import ast
import os
import re
import subprocess
import sys

FILE_LINES_MAX = 800
MAKEFILE_LINES_MAX = 200
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100

# From low to high; preload and tools stand beside each other on the last one.
FLOORS = ["base", "os", "space", "pool", "heap", "array", "stats"]
TOP_FLOORS = ["preload", "tools"]
KERNEL_HEADERS = re.compile(r"<(sys/(mman|syscall|stat|file|resource|prctl|sysinfo|random|time)\.h"
                            r"|linux/.*|fcntl\.h|unistd\.h|time\.h|sched\.h|signal\.h)>")
KERNEL_CALLS = """
    accept access brk chdir clock_gettime clone close connect creat dup dup2 dup3 execl execle
    execlp execv execve execvp execvpe fallocate fchmod fchown fclose fcntl fdatasync fdopen
    fgets fopen fork fprintf fputs fread fstat fsync ftruncate futex fwrite getcpu getpid
    getppid getrandom getrlimit getrusage gettid gettimeofday ioctl kill link lseek lstat
    madvise memfd_create mincore mkdir mkostemp mkstemp mlock mlock2 mmap mprotect mremap msync
    munlock munmap nanosleep open openat perror pipe pipe2 poll posix_fadvise posix_fallocate
    posix_madvise ppoll prctl pread preadv printf prlimit putchar puts pwrite pwritev read
    readlink readv recv remove rename sbrk sched_getaffinity sched_getcpu sched_setaffinity
    sched_yield select send setrlimit shm_open sigaction signal sigprocmask sleep socket stat
    statfs statx syncfs syscall sysconf sysinfo time unlink userfaultfd usleep vfork wait
    waitpid write writev
""".split()
KERNEL_CALL = re.compile(r"(?<![\w.>])(" + "|".join(KERNEL_CALLS) + r")\s*\(")
# By contract malloc_info writes to the caller's FILE.
KERNEL_CALLS_ALLOWED = {("preload/malloc_info.c", "fprintf")}
LIBC_MALLOC = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|free|strdup|strndup"
                         r"|asprintf|aligned_alloc|posix_memalign|memalign|getline)\s*\(")
MARKS = ["TO" + "DO", "FIX" + "ME", "X" * 3, "HA" + "CK"]  # in pieces, or this file had them
UNFINISHED = re.compile(r"\b(" + "|".join(MARKS) + r")\b")
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(work\b|root/|home/\w|tmp/(?!\S*X{6})\w)[\w/-]*")

CODE = (".c", ".h", ".py", ".sh", ".mk", ".map")
CODE_NAMES = ("Makefile", "run")
TEXT = CODE + (".md", ".in", ".1", ".3", ".7", ".txt", ".list", ".supp", ".suppress", ".js")


class Tree:
    """The files of a checkout: tracked ones and new ones that are not ignored."""

    def __init__(self, root):
        self.root = root
        self.files = sorted(self._list())
        self._texts = {}

    def _list(self):
        if os.path.isdir(os.path.join(self.root, ".git")):
            listed = subprocess.run(
                ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                cwd=self.root, check=True, capture_output=True, text=True).stdout.split("\0")
            return {name for name in listed if name and os.path.isfile(self.path(name))}
        found = set()
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name != "build"]
            relative = os.path.relpath(folder, self.root)
            found.update(os.path.normpath(os.path.join(relative, name)) for name in names)
        return found

    def path(self, name):
        return os.path.join(self.root, name)

    def exists(self, name):
        return os.path.exists(self.path(name))

    def text(self, name):
        if name not in self._texts:
            with open(self.path(name), encoding="utf-8", errors="replace") as file:
                self._texts[name] = file.read()
        return self._texts[name]

    def lines(self, name):
        return enumerate(self.text(name).splitlines(), 1)

    def under(self, *folders, ends=(".c", ".h")):
        starts = tuple(folder + "/" for folder in folders)
        return [name for name in self.files if name.startswith(starts) and name.endswith(ends)]

    def with_ends(self, ends, names=()):
        return [name for name in self.files
                if name.endswith(ends) or os.path.basename(name) in names]


def without_comments(text):
    """C code with comments, strings and character constants blanked; lines and columns stay."""
    pattern = r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\''
    return re.sub(pattern, lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.DOTALL)


def code_lines(tree, name):
    return enumerate(without_comments(tree.text(name)).splitlines(), 1)


def floor_of(name):
    """("heap", rank) of a source file, or None outside the floors."""
    parts = name.split("/")
    if parts[0] == "src" and len(parts) == 3 and parts[1] in FLOORS:
        return parts[1], FLOORS.index(parts[1])
    if parts[0] in TOP_FLOORS:
        return parts[0], len(FLOORS)
    return None


def floor_breach(tree, name, floor, rank, included):
    """What is wrong with an #include "..." of a file on that floor, or None."""
    if "/" not in included:
        beside = os.path.join(os.path.dirname(name), included)
        return None if tree.exists(beside) else f"'{included}' does not lie beside this file"
    target = included.split("/")[0]
    if target not in FLOORS:
        return f"'{included}' is on no floor"
    if target == floor:
        return None
    if FLOORS.index(target) >= rank:
        return f"floor {floor} includes the higher floor {target}"
    if included != f"{target}/{target}.h":
        return f"'{included}' is private to its floor: include {target}/{target}.h"
    return None


def check_floors(tree):
    """A floor includes only lower floors, each through the one header of its own name."""
    for name in tree.under("src", "preload", "tools"):
        where = floor_of(name)
        if where is None:
            yield f"{name}:1: lies on no floor"
            continue
        for number, line in tree.lines(name):
            match = re.match(r'\s*#\s*include\s*"([^"]+)"', line)
            breach = match and floor_breach(tree, name, *where, match.group(1))
            if breach:
                yield f"{name}:{number}: {breach}"
    for name in tree.under("include", ends=".h"):
        for number, line in tree.lines(name):
            if re.match(r'\s*#\s*include\s*"', line):
                yield f"{name}:{number}: a public header includes only <...>"


def map_names(text):
    """The names after `global:` of a version script."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    exported = re.search(r"global:(.*?)(local:|\})", text, re.DOTALL)
    return set(re.findall(r"([\w*?]+)\s*;", exported.group(1) if exported else ""))


def api_names(tree):
    """Functions that the public headers declare with TERRANE_API."""
    names = set()
    for name in tree.under("include", ends=".h"):
        code = without_comments(tree.text(name))
        code = re.sub(r"^\s*#.*$", "", code, flags=re.MULTILINE)
        names.update(re.findall(r"TERRANE_API[^;(]*?\b(\w+)\s*\(", code))
    return names


def library_names(path):
    listed = subprocess.run(["nm", "-D", "--defined-only", path], check=True, capture_output=True,
                            text=True).stdout
    symbols = [line.split() for line in listed.splitlines()]
    return {words[-1].split("@")[0] for words in symbols if words[-2] != "A"}


def differences(where, have_label, have, want_label, want):
    for symbol in sorted(have - want):
        yield f"{where}:1: {symbol} is in {have_label} but not in {want_label}"
    for symbol in sorted(want - have):
        yield f"{where}:1: {symbol} is in {want_label} but not in {have_label}"


def check_exports(tree):
    """Headers, export map and library agree; so do the drop-in malloc and its map."""
    pairs = [("terrane.map", "build/libterrane.so"),
             ("preload/malloc.map", "build/libterrane-malloc.so")]
    for map_name, library in pairs:
        if map_name not in tree.files:
            yield f"{map_name}:1: is missing"
            continue
        mapped = map_names(tree.text(map_name))
        if map_name == "terrane.map":
            yield from differences(map_name, "the map", mapped, "the headers", api_names(tree))
        if not tree.exists(library):
            yield f"{library}:1: is not built"
            continue
        built = library_names(tree.path(library))
        yield from differences(map_name, "the map", mapped, "the library", built)


def check_kernel(tree):
    """Only os/ speaks to the kernel, and no code of ours allocates from the C library."""
    for name in tree.under("src", "preload"):
        if name.startswith("src/os/"):
            continue
        for number, line in code_lines(tree, name):
            for call in KERNEL_CALL.findall(line):
                if (name, call) not in KERNEL_CALLS_ALLOWED:
                    yield f"{name}:{number}: {call}() outside src/os"
            header = re.match(r"\s*#\s*include\s*(<[^>]+>)", line)
            if header and KERNEL_HEADERS.match(header.group(1)):
                yield f"{name}:{number}: {header.group(1)} outside src/os"
            if name.startswith("src/"):
                for call in LIBC_MALLOC.findall(line):
                    yield f"{name}:{number}: the library calls {call}(), which it may be itself"


def check_file_sizes(tree):
    """No file of code over 800 lines, no Makefile over 200."""
    for name in tree.with_ends(CODE, CODE_NAMES):
        limit = MAKEFILE_LINES_MAX if os.path.basename(name) == "Makefile" else FILE_LINES_MAX
        count = tree.text(name).count("\n")
        if count > limit:
            yield f"{name}:{limit}: {count} lines, {limit} are allowed"


def c_functions(tree, name):
    start = None
    for number, line in code_lines(tree, name):
        if line.startswith("{"):
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number
            start = None


def shell_functions(tree, name):
    start = None
    for number, line in tree.lines(name):
        if re.match(r"\w+\(\) *\{", line):
            start = number
        elif line.startswith("}") and start is not None:
            yield start, number
            start = None


def python_functions(tree, name):
    for node in ast.walk(ast.parse(tree.text(name))):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            yield node.lineno, node.end_lineno


def check_function_lengths(tree):
    """No function over 70 lines."""
    readers = [(".c", c_functions), (".h", c_functions), (".py", python_functions),
               (".sh", shell_functions), ("/run", shell_functions)]
    for end, functions in readers:
        for name in tree.with_ends((end,)):
            for first, last in functions(tree, name):
                if last - first + 1 > FUNCTION_LINES_MAX:
                    yield (f"{name}:{first}: a function of {last - first + 1} lines, "
                           f"{FUNCTION_LINES_MAX} are allowed")


def check_columns(tree):
    """Code is at most 100 columns wide."""
    for name in tree.with_ends(CODE, CODE_NAMES):
        tab = 8 if name.endswith((".mk", "Makefile")) else 4
        for number, line in tree.lines(name):
            width = len(line.expandtabs(tab))
            if width > COLUMNS_MAX:
                yield f"{name}:{number}: {width} columns, {COLUMNS_MAX} are allowed"


def check_white_space(tree):
    """No trailing white space, no tabs in C, one newline at the end."""
    for name in tree.with_ends(TEXT, CODE_NAMES):
        for number, line in tree.lines(name):
            if line != line.rstrip():
                yield f"{name}:{number}: trailing white space"
            if "\t" in line and name.endswith((".c", ".h")):
                yield f"{name}:{number}: a tab"
        text = tree.text(name)
        if text and (not text.endswith("\n") or text.endswith("\n\n")):
            yield f"{name}:{text.count(chr(10))}: does not end with exactly one newline"


def check_unique_names(tree):
    """Names of code files are unique; a public header shares its name with its floor's header."""
    seen = {}
    for name in tree.with_ends((".c", ".h", ".py", ".sh", ".mk")):
        if name.startswith("include/"):
            continue
        base = os.path.basename(name)
        if base in seen:
            yield f"{name}:1: has the name of {seen[base]}"
        seen.setdefault(base, name)


def makefile_words(tree, variable):
    for name in {"Makefile", "mk/test.mk"} & set(tree.files):
        match = re.search(rf"^{variable}\s*:=\s*(.*)$", tree.text(name), re.M)
        if match:
            return match.group(1).split()
    return []


def included_names(tree):
    names = set()
    for name in tree.with_ends((".c", ".h", ".sh", ".py", ".mk")):
        for included in re.findall(r'#\s*include\s*[<"]([^">]+)[">]', tree.text(name)):
            if os.path.basename(included) != os.path.basename(name) or name.endswith(".c"):
                names.add(os.path.basename(included))
    return names


def check_dead_files(tree):
    """Every .c is built, every header is included, every test script can be run."""
    floors, kinds = makefile_words(tree, "FLOORS"), makefile_words(tree, "KINDS")
    built = ["preload", "tools", "bench", "examples", "test/support"]
    built += [f"src/{floor}" for floor in floors] + [f"test/{kind}" for kind in kinds]
    elsewhere = ("test/package/", "examples/")
    included = included_names(tree)
    for name in tree.with_ends((".c",)):
        if os.path.dirname(name) not in built and not name.startswith(elsewhere):
            yield f"{name}:1: no rule builds it"
    for name in tree.with_ends((".h",)):
        if os.path.basename(name) not in included and name != "include/terrane/terrane.h":
            yield f"{name}:1: nothing includes it"
    for name in tree.under("test", "scripts", ends=(".sh", "/run")):
        if tree.text(name).startswith("#!") and not os.access(tree.path(name), os.X_OK):
            yield f"{name}:1: is not executable"


def check_unfinished(tree):
    """Nothing is marked as unfinished."""
    for name in tree.with_ends(TEXT, CODE_NAMES):
        for number, line in tree.lines(name):
            if UNFINISHED.search(line):
                yield f"{name}:{number}: {UNFINISHED.search(line).group()}"


def check_machine_paths(tree):
    """Nothing names a folder of one machine."""
    for name in tree.with_ends(TEXT, CODE_NAMES):
        for number, line in tree.lines(name):
            if MACHINE_PATH.search(line):
                yield f"{name}:{number}: {MACHINE_PATH.search(line).group()}"


def check_head_comments(tree):
    """Every file of code opens by saying what it is for."""
    for name in tree.with_ends((".c", ".h")):
        if not tree.text(name).startswith("/*"):
            yield f"{name}:1: no head comment"
    for name in tree.with_ends((".py", ".sh", ".mk"), CODE_NAMES):
        lines = [line for line in tree.text(name).splitlines() if not line.startswith("#!")]
        if not lines or not lines[0].startswith(("#", '"""')):
            yield f"{name}:1: no head comment"


def check_man_pages(tree):
    """Every public function is in the NAME section of a man page, once there are man pages."""
    pages = tree.under("docs/man", ends=".3")
    if not pages:
        return
    described = set()
    for page in pages:
        section = re.search(r"^\.S[Hh] \"?NAME\"?$(.*?)^\.S[Hh]", tree.text(page), re.S | re.M)
        described.update(re.findall(r"\bterrane_\w+", section.group(1) if section else ""))
    for function in sorted(api_names(tree) - described):
        yield f"docs/man:1: {function} is in no page's NAME section"


# Structs of counters: the header, the letter of their rows in the table (None: they are in no
# snapshot), fields that are structs.
COUNTERS = {"terrane_stats": ("include/terrane/stats.h", "S", set()),
            "terrane_pool_stats": ("include/terrane/pool.h", "P", {"total", "orders"}),
            "terrane_order_stats": ("include/terrane/pool.h", "O", set()),
            "terrane_array_stats": ("include/terrane/array.h", None, set())}
FIGURES = "src/stats/figures.c"
STATS_PAGE = "docs/stats.md"


def struct_fields(text, struct):
    body = re.search(rf"^struct {struct} \{{(.*?)^\}};", without_comments(text), re.S | re.M)
    return set(re.findall(r"(\w+)(?:\[\w+\])?;", body.group(1))) if body else set()


def documented_fields(text, struct):
    """The names in the first column of the table below the struct's heading."""
    section = re.search(rf"^## struct {struct}\n(.*?)(?:^## |\Z)", text, re.S | re.M)
    cells = re.findall(r"^\| (`[^|]*) \|", section.group(1), re.M) if section else []
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def check_figures(tree):
    """Every counter has its row in the table of figures and in docs/stats.md, once there are."""
    if FIGURES not in tree.files:
        return
    for struct, (header, letter, nested) in COUNTERS.items():
        fields = struct_fields(tree.text(header), struct) - nested if tree.exists(header) else set()
        if letter:
            rows = set(re.findall(rf"^    {letter}\((\w+),", tree.text(FIGURES), re.M))
            yield from differences(FIGURES, "the table", rows, f"struct {struct}", fields)
        documented = documented_fields(tree.text(STATS_PAGE), struct)
        yield from differences(STATS_PAGE, "the page", documented, f"struct {struct}", fields)


CHECKS = {name[len("check_"):].replace("_", "-"): function
          for name, function in list(globals().items()) if name.startswith("check_")}


def run_checks(tree, names):
    breaches = [f"{breach} [{name}]" for name in names for breach in CHECKS[name](tree)]
    for breach in breaches:
        print(breach)
    print(f"tidy: {len(tree.files)} files, {len(names)} checks, {len(breaches)} breaches")
    return 1 if breaches else 0


def main(arguments):
    if arguments == ["--list"]:
        for name, function in CHECKS.items():
            print(f"{name:18} {function.__doc__}")
        return 0
    if arguments == ["--self-test"]:
        sys.dont_write_bytecode = True
        import tidy_cases
        return tidy_cases.self_test(sys.modules[__name__])
    unknown = [name for name in arguments if name not in CHECKS]
    if unknown:
        print(f"tidy: no check is called {unknown[0]}; --list names them", file=sys.stderr)
        return 2
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return run_checks(Tree(root), arguments or list(CHECKS))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
