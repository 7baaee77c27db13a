#!/bin/sh
# Installs the Debian packages that a job of this repository needs and the machine lacks.
#
#   scripts/setup.sh run|check|bench-peers...
#
# Silent and instant when nothing is missing. Without root or sudo it prints the line to run and
# fails.
set -eu

missing=

# need PROBE PACKAGE: a probe is a command, a file (/...), or a shared library (lib...).
need() {
    case $1 in
    /*) test -e "$1" && return ;;
    lib*) /sbin/ldconfig -p | grep -q "^[[:space:]]$1\." && return ;;
    *) command -v "$1" >/dev/null && return ;;
    esac
    missing="$missing $2"
}

need_for_run() {
    need gcc gcc
    need /usr/include/stdlib.h libc6-dev
    need make make
    need python3 python3
    need sqlite3 sqlite3
}

need_for_check() {
    need_for_run
    need clang clang
    need clang-tidy clang-tidy
    need clang-format clang-format
    need cppcheck cppcheck
    need /usr/include/cmocka.h libcmocka-dev
    need /usr/include/valgrind/valgrind.h valgrind
    need cmake cmake
    need pkg-config pkg-config
    need gnuplot gnuplot-nox
    # The real programs that are run on the drop-in malloc.
    need g++ g++
    need git git
    need perl perl
    need node nodejs
    need redis-server redis-server
    need redis-benchmark redis-tools
}

need_for_bench_peers() {
    need libjemalloc.so libjemalloc2
    need libmimalloc.so libmimalloc2.0
    need libtcmalloc_minimal.so libtcmalloc-minimal4
    need libtbbmalloc.so libtbbmalloc2
    need gnuplot gnuplot-nox
    need g++ g++
}

# A server package starts its server when it is installed, and at every boot. Here only the program
# is wanted: policy-rc.d refuses the start, and the unit is disabled.
install_missing() {
    policy=/usr/sbin/policy-rc.d
    ours=
    if [ ! -e $policy ]; then
        printf '#!/bin/sh\nexit 101\n' | $as_root tee $policy >/dev/null
        $as_root chmod 755 $policy
        ours=yes
    fi
    status=0
    quietly="-y -qq -o Dpkg::Use-Pty=0 --no-install-recommends"
    $as_root apt-get update -qq || status=$?
    # shellcheck disable=SC2086 # lists of words
    [ $status != 0 ] ||
        $as_root env DEBIAN_FRONTEND=noninteractive apt-get install $quietly $missing || status=$?
    [ -z "$ours" ] || $as_root rm -f $policy
    case " $missing " in
    *" redis-server "*)
        ! command -v systemctl >/dev/null ||
            $as_root systemctl disable --quiet redis-server 2>/dev/null || true
        ;;
    esac
    return $status
}

for job in "$@"; do
    case $job in
    run) need_for_run ;;
    check) need_for_check ;;
    bench-peers) need_for_bench_peers ;;
    *)
        echo "setup.sh: unknown job '$job': run, check or bench-peers" >&2
        exit 2
        ;;
    esac
done

[ -n "$missing" ] || exit 0
missing=$(printf '%s\n' $missing | sort -u | paste -sd' ')

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    as_root=sudo
elif command -v sudo >/dev/null && [ -t 0 ]; then
    as_root=sudo
else
    echo "Missing packages. As root, run:" >&2
    echo "  apt-get install -y --no-install-recommends $missing" >&2
    exit 1
fi
echo "installing: $missing" >&2
install_missing >&2
