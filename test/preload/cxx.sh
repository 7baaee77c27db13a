#!/usr/bin/env bash
# C++ on the drop-in: operator new and delete in every form, exceptions, thread_local destructors;
# preloaded, linked against the shared and the static library, and in hardened mode.
. "$(dirname "$0")/run.bash"

command -v g++ >/dev/null || skip "no g++ here"
build=${terrane%/*}
source=$OLDPWD/test/preload
compile_cxx() {
    local name=$1
    shift
    g++ -std=c++17 -O1 -Wall -Wextra -pthread -fsized-deallocation -o "$name" "$@" ||
        fail "cannot compile $name"
}

for program in cxx_operators threads_cxx; do
    compile_cxx "$program" "$source/$program.cc"
    compile_cxx "$program-shared" "$source/$program.cc" -L"$build" -lterrane-malloc \
        -Wl,-rpath,"$build"
    compile_cxx "$program-static" -static "$source/$program.cc" "$build/libterrane-malloc.a"
    expect_status 0 "./$program"
    mv out wanted
    for way in "env LD_PRELOAD=$build/libterrane-malloc.so ./$program" \
        "env LD_PRELOAD=$build/libterrane-malloc.so TERRANE_OPTIONS=hardened=1 ./$program" \
        "env TERRANE_OPTIONS=guard_sample=10 ./$program-shared" \
        "./$program-shared" "./$program-static"; do
        # shellcheck disable=SC2086 # a command line
        expect_status 0 $way
        cmp out wanted || fail "$way"
        [ ! -s err ] || {
            cat err
            fail "$way has something to say"
        }
    done
done
