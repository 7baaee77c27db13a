#!/bin/sh
# Installs below a scratch DESTDIR, builds and runs programs against what was installed, through
# pkg-config, CMake and the plain command line, and uninstalls: nothing may be left.
set -eu

stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
here=$PWD/test/package
version=$(sed -n 's/^.define TERRANE_VERSION_[A-Z]* //p' include/terrane/version.h | paste -sd.)

fail() {
    echo "FAILED: $*"
    exit 1
}

# says_version LIBDIR PROGRAM: it runs and prints the version that the headers name.
says_version() {
    said=$(LD_LIBRARY_PATH=$1 "$2") || fail "$2 exits with $?"
    [ "$said" = "$version" ] || fail "$2 says '$said', not '$version'"
    echo "ok: $(basename "$2")"
}

# Each public header, alone, is C11 and C++ without a warning.
headers_stand_alone() {
    for header in "$1"/terrane/*.h; do
        name=terrane/$(basename "$header")
        echo "#include <$name>" >"$stage/alone.c"
        for language in "cc -std=c11" "c++ -std=c++11 -x c++"; do
            # shellcheck disable=SC2086 # a list of words
            $language -Wall -Wextra -Wpedantic -Wconversion -Werror -fsyntax-only -I"$1" \
                "$stage/alone.c" || fail "$name by $language"
        done
    done
    echo "ok: headers"
}

through_pkg_config() {
    libdir=$1
    export PKG_CONFIG_SYSROOT_DIR="$stage" PKG_CONFIG_LIBDIR="$libdir/pkgconfig"
    [ "$(pkg-config --modversion terrane)" = "$version" ] || fail "pkg-config's version"
    flags=$(pkg-config --cflags --libs terrane)
    # shellcheck disable=SC2086 # a list of words
    cc -Wall -Wextra -Werror "$here/consumer.c" $flags -o "$stage/by_pkg_config"
    # shellcheck disable=SC2086
    c++ -Wall -Wextra -Werror -x c++ "$here/consumer.c" -x none $flags -o "$stage/as_cxx"
    says_version "$libdir" "$stage/by_pkg_config"
    says_version "$libdir" "$stage/as_cxx"
    needed=$(readelf -d "$stage/by_pkg_config" | sed -n 's/.*NEEDED.*\[\(libterrane.*\)\]/\1/p')
    [ "$needed" = "libterrane.so.${version%%.*}" ] || fail "the program needs '$needed'"
}

through_cmake() {
    prefix=$1
    rm -rf "$stage/cmake"
    cmake -S "$here" -B "$stage/cmake" -DCMAKE_PREFIX_PATH="$prefix" >"$stage/cmake.log" 2>&1 ||
        { cat "$stage/cmake.log"; fail "cmake does not find the package"; }
    cmake --build "$stage/cmake" >"$stage/cmake.log" 2>&1 ||
        { cat "$stage/cmake.log"; fail "the CMake project does not build"; }
    says_version "" "$stage/cmake/shared"
    says_version "" "$stage/cmake/static"
    "$stage/cmake/malloc" >"$stage/malloc.out" || fail "terrane::malloc is not the program's malloc"
    echo "ok: malloc is in $(basename "$(cat "$stage/malloc.out")")"
}

command_works() {
    bin=$1
    "$bin/terrane" --version | grep -qF "$version" || fail "terrane --version"
    "$bin/terrane" run --output "$stage/report" -- true || fail "terrane run exits with $?"
    [ -s "$stage/report" ] || fail "terrane run wrote no report"
    "$bin/terrane" bench programs --quick --rounds 1 --cases perl --contenders glibc,terrane \
        >"$stage/bench" 2>&1 || fail "terrane bench exits with $?: $(cat "$stage/bench")"
    grep -q "^perl " "$stage/bench" || fail "the installed bench finds no scripts"
    echo "ok: the installed command"
}

# try PREFIX LIBDIR: one round of install, use, uninstall.
try() {
    echo "prefix $1, libraries in $2"
    make -s install DESTDIR="$stage" PREFIX="$1" LIBDIR="$2" >"$stage/install.log"
    through_pkg_config "$stage$2"
    through_cmake "$stage$1"
    command_works "$stage$1/bin"
    make -s uninstall DESTDIR="$stage" PREFIX="$1" LIBDIR="$2" >"$stage/install.log"
    left=$(find "$stage$1" ! -type d)
    [ -z "$left" ] || fail "uninstall leaves $left"
    echo "ok: uninstall"
}

headers_stand_alone include
try /usr/local /usr/local/lib
try /usr "/usr/lib/$(cc -print-multiarch)"
