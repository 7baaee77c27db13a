"""Bad trees for tidy.py: what each check must complain about, and a good tree that passes them all.

A case is (check, what is wrong, {file: text}, text that the complaint contains). Its files are laid
over the good tree in a scratch folder; None as text removes a file.
"""
import os
import subprocess
import tempfile

HEAD = "/* Good. */\n"

GOOD = {
    "Makefile": "# Good.\nFLOORS := base os space pool heap stats\n",
    "mk/test.mk": "# Good.\nKINDS := unit api\n",
    "include/terrane/terrane.h":
        HEAD + "#include <stddef.h>\n#define TERRANE_API\nTERRANE_API void *terrane_a(size_t n);\n"
        "/* TERRANE_API int terrane_comment(void); */\n",
    "terrane.map": "/* Good. */\nT {\nglobal:\n    terrane_a;\nlocal:\n    *;\n};\n",
    "preload/malloc.map": "/* Good. */\n{\nglobal:\n    malloc;\nlocal:\n    *;\n};\n",
    "preload/malloc.c":
        HEAD + '#include "heap/heap.h"\n'
        'void *malloc(unsigned long n)\n{\n    return tn_heap(n);\n}\n',
    "src/base/base.h": HEAD + '#include "base/bits.h"\n',
    "src/base/bits.h": HEAD,
    "src/base/bits.c": HEAD + '#include "base/bits.h"\n',
    "src/os/os.h": HEAD + '#include "base/base.h"\n',
    "src/os/os_linux.c":
        HEAD + '#include "os/os.h"\n#include <sys/mman.h>\n'
        'int f(void)\n{\n    return munmap(0, 1);\n}\n',
    "src/heap/heap.h": HEAD + '#include "os/os.h"\nvoid *tn_heap(unsigned long n);\n',
    "src/heap/heap.c":
        HEAD + '#include "heap/heap.h"\n/* mmap(here) is in words. */\n'
        'void *tn_heap(unsigned long n)\n{\n    tn_os_read(n);\n    return v->free("read(");\n}\n',
    "tools/cli.c": HEAD + '#include "cli.h"\n',
    "tools/cli.h": HEAD,
    "test/unit/bits_test.c": HEAD + '#include "base/bits.h"\n',
    "test/preload/program.sh":
        "#!/bin/sh\n# Good: mktemp -d name." + "X" * 6 + ", and /usr/bin is fine.\n",
    "docs/man/terrane_a.3": ".TH A 3\n.SH NAME\nterrane_a \\- allocates\n.SH SYNOPSIS\n",
}

LONG_C = HEAD + "void f(void)\n{\n" + "    g();\n" * 69 + "}\n"
LONG_PY = '"""Long."""\ndef f():\n' + "    g()\n" * 70
LONG_SH = "#!/bin/sh\n# Long.\nf() {\n" + "    g\n" * 69 + "}\n"

COUNTER_STRUCT = HEAD + "struct terrane_stats {\n    uint64_t moves; /* of ranges */\n};\n"
COUNTER_ROWS = HEAD + "static const int rows[] = {\n    S(moves, RISING),\n};\n"
COUNTER_PAGE = "# Figures\n\n## struct terrane_stats\n\n| field |\n|---|\n| `moves` | of ranges |\n"

CASES = [
    ("floors", "a lower floor includes a higher one",
     {"src/os/lock.c": HEAD + '#include "heap/heap.h"\n'}, "src/os/lock.c:2: floor os includes"),
    ("floors", "a private header of another floor",
     {"src/heap/size.c": HEAD + '#include "base/bits.h"\n'}, "include base/base.h"),
    ("floors", "the drop-in includes the command",
     {"preload/report.c": HEAD + '#include "tools/cli.h"\n'}, "on no floor"),
    ("floors", "an include that escapes its folder",
     {"tools/other.c": HEAD + '#include "nowhere.h"\n'}, "does not lie beside"),
    ("floors", "a folder that is no floor",
     {"src/misc/x.c": HEAD}, "src/misc/x.c:1: lies on no floor"),
    ("floors", "a public header that needs an inner one",
     {"include/terrane/heap.h": HEAD + '#include "heap/heap.h"\n'}, "includes only <...>"),
    ("exports", "a mapped name that no header declares",
     {"terrane.map": "{\nglobal:\n    terrane_a;\n    terrane_b;\nlocal:\n    *;\n};\n"},
     "terrane_b is in the map but not in the headers"),
    ("exports", "a declared function that is not mapped",
     {"include/terrane/more.h": "TERRANE_API int terrane_c(void);\n"},
     "terrane_c is in the headers but not in the map"),
    ("exports", "a mapped name that the library lacks",
     {"preload/malloc.map": "{\nglobal:\n    malloc;\n    free;\nlocal:\n    *;\n};\n"},
     "free is in the map but not in the library"),
    ("exports", "a symbol that leaks from the library",
     {"preload/malloc.map": "{\nglobal:\n    calloc;\nlocal:\n    *;\n};\n"},
     "malloc is in the library but not in the map"),
    ("exports", "a library that is not built",
     {"build/libterrane.so": None}, "build/libterrane.so:1: is not built"),
    ("kernel", "a system call above os",
     {"src/heap/big.c": HEAD + "int f(void)\n{\n    return mmap (0, 1);\n}\n"}, "big.c:4: mmap()"),
    ("kernel", "a raw system call in the drop-in",
     {"preload/raw.c": HEAD + "long g = syscall(1);\n"}, "raw.c:2: syscall()"),
    ("kernel", "a kernel header above os",
     {"src/heap/big.c": HEAD + "#include <sys/mman.h>\n"}, "<sys/mman.h> outside src/os"),
    ("kernel", "the library uses the C library's malloc",
     {"src/heap/big.c": HEAD + "void *p = calloc(1, 2);\n"}, "the library calls calloc()"),
    ("file-sizes", "a file of 801 lines",
     {"src/heap/big.c": HEAD + "\n" * 800}, "big.c:800: 801 lines"),
    ("file-sizes", "a Makefile of 201 lines",
     {"Makefile": "#\n" * 201}, "Makefile:200: 201 lines"),
    ("function-lengths", "71 lines of C", {"src/heap/big.c": LONG_C}, "big.c:3: a function of 71"),
    ("function-lengths", "71 lines of Python",
     {"scripts/big.py": LONG_PY}, "big.py:2: a function of 71"),
    ("function-lengths", "71 lines of shell",
     {"scripts/big.sh": LONG_SH}, "big.sh:3: a function of 71"),
    ("columns", "101 columns", {"src/heap/big.c": HEAD + "x" * 101 + "\n"}, "big.c:2: 101 columns"),
    ("columns", "tabs that reach past the edge",
     {"mk/x.mk": "# X.\n" + "\t" * 12 + "echo 1\n"}, "x.mk:2: 102 columns"),
    ("white-space", "a space at the end of a line",
     {"README.md": "Title \n"}, "README.md:1: trailing white space"),
    ("white-space", "a tab in C", {"src/heap/big.c": HEAD + "\tint x;\n"}, "big.c:2: a tab"),
    ("white-space", "no newline at the end", {"README.md": "Title"}, "exactly one newline"),
    ("white-space", "two newlines at the end", {"README.md": "Title\n\n"}, "exactly one newline"),
    ("unique-names", "two files of one name",
     {"test/unit/heap.c": HEAD}, "test/unit/heap.c:1: has the name of src/heap/heap.c"),
    ("dead-files", "a source in a folder that is not built",
     {"src/heap/old/x.c": HEAD}, "x.c:1: no rule builds it"),
    ("dead-files", "a test of an unknown kind",
     {"test/units/x.c": HEAD}, "x.c:1: no rule builds it"),
    ("dead-files", "a header that nobody includes",
     {"src/heap/lost.h": HEAD}, "lost.h:1: nothing includes it"),
    ("dead-files", "a header that only includes itself",
     {"src/heap/lost.h": HEAD + '#include "lost.h"\n'}, "lost.h:1: nothing includes it"),
    ("dead-files", "a test script that cannot be run",
     {"test/preload/plain.sh": "#!/bin/sh\n# Plain.\n"}, "plain.sh:1: is not executable"),
    ("unfinished", "a mark in code",
     {"src/heap/big.c": HEAD + "/* TO" + "DO: later */\n"}, "big.c:2: TO" + "DO"),
    ("unfinished", "a mark in a document", {"README.md": "X" * 3 + " later\n"}, "README.md:1: "),
    ("machine-paths", "a home folder",
     {"README.md": "see /ho" + "me/someone/x\n"}, "README.md:1: /ho" + "me/someone"),
    ("machine-paths", "a folder of a build machine",
     {"scripts/x.sh": "#!/bin/sh\n# X.\ncd /wo" + "rk/main\n"}, "x.sh:3: /wo" + "rk"),
    ("machine-paths", "a fixed temporary file",
     {"test/unit/x.c": HEAD + 'char *p = "/tm' + 'p/data";\n'}, "x.c:2: /tm" + "p/data"),
    ("head-comments", "C without a head",
     {"src/heap/big.c": "int x;\n"}, "big.c:1: no head comment"),
    ("head-comments", "a script without a head",
     {"scripts/x.sh": "#!/bin/sh\necho\n"}, "x.sh:1: no head comment"),
    ("man-pages", "a function without a page",
     {"docs/man/terrane_a.3": ".SH NAME\nother\n.SH SYNOPSIS\nterrane_a\n"},
     "terrane_a is in no page"),
    ("figures", "a counter that the table lacks",
     {"include/terrane/stats.h": COUNTER_STRUCT, "docs/stats.md": COUNTER_PAGE,
      "src/stats/figures.c": HEAD + "static const int rows[] = {\n};\n"},
     "moves is in struct terrane_stats but not in the table"),
    ("figures", "a counter that the page lacks",
     {"include/terrane/stats.h": COUNTER_STRUCT, "src/stats/figures.c": COUNTER_ROWS,
      "docs/stats.md": "# Figures\n"},
     "moves is in struct terrane_stats but not in the page"),
    ("figures", "a page about a counter that is gone",
     {"include/terrane/stats.h": HEAD + "struct terrane_stats {\n};\n",
      "src/stats/figures.c": COUNTER_ROWS, "docs/stats.md": COUNTER_PAGE},
     "moves is in the page but not in struct terrane_stats"),
]


def build_libraries(root):
    """The two libraries of the good tree."""
    libraries = {
        "libterrane.so": "void *terrane_a(void) { return 0; }",
        "libterrane-malloc.so": "void *malloc(unsigned long n) { return (void *)n; }",
    }
    os.makedirs(os.path.join(root, "build"), exist_ok=True)
    for name, code in libraries.items():
        subprocess.run(["cc", "-shared", "-fPIC", "-fno-builtin", "-x", "c", "-", "-o",
                        os.path.join(root, "build", name)], input=code, text=True, check=True)


def lay(root, files):
    for name, text in files.items():
        path = os.path.join(root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        if text is None:
            os.remove(path)
            continue
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        if name in GOOD and name.endswith(".sh"):
            os.chmod(path, 0o755)


def restore(root, files):
    for name in files:
        if name in GOOD:
            lay(root, {name: GOOD[name]})
        elif name.startswith("build/"):
            build_libraries(root)
        else:
            os.remove(os.path.join(root, name))


def self_test(tidy):
    wrong = []
    with tempfile.TemporaryDirectory() as root:
        lay(root, GOOD)
        build_libraries(root)
        for check in tidy.CHECKS:
            for breach in tidy.CHECKS[check](tidy.Tree(root)):
                wrong.append(f"{check} complains about the good tree: {breach}")
        for check, what, files, expected in CASES:
            lay(root, files)
            breaches = list(tidy.CHECKS[check](tidy.Tree(root)))
            if not any(expected in breach for breach in breaches):
                wrong.append(f"{check} does not see: {what}; it says {breaches}")
            restore(root, files)
    for check in set(tidy.CHECKS) - {case[0] for case in CASES}:
        wrong.append(f"{check} has no bad tree")
    for line in wrong:
        print(line)
    print(f"tidy self-test: {len(CASES)} bad trees, {len(wrong)} of them or of the checks wrong")
    return 1 if wrong else 0
