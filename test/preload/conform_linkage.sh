#!/usr/bin/env bash
# The programs of test/conform once more: in the other two ways to get a malloc, preloaded into a
# program that knows nothing of it, and linked statically, the C library too; and preloaded with the
# options that make every allocation hardened, or one refill in ten guarded. How the malloc gets
# into a program does not depend on its build, so the audit build tries the options alone.
. "$(dirname "$0")/run.bash"

build=${terrane%/*}
variant=${TEST_VARIANT:-release}
objects=$OLDPWD/build/$variant/obj/test/conform
failures=0
passed=0

[ -d "$objects" ] || skip "no $objects: run make tests first"

# Dynamic loading has no meaning in a static program.
static_exceptions="whole_family_is_replaced backtrace_from_crime library_calls_that_allocate"

# A guarded object takes a block of its own, which these would count.
guard_exceptions="introspection_is_sane memory_goes_back refusal_is_survived"

preloaded_with=("" hardened=1 guard_sample=10)
[ "$variant" != audit ] || preloaded_with=(hardened=1 guard_sample=10)

among() {
    case " $2 " in *" $1 "*) ;; *) return 1 ;; esac
}

judge() {
    local how=$1 name=$2 status=$3
    case $status in
    0) passed=$((passed + 1)) ;;
    77) echo "$name, $how: skipped: $(tail -n 1 out)" ;;
    *)
        echo "$name, $how: status $status"
        tail -n 5 out
        failures=$((failures + 1))
        ;;
    esac
}

for object in "$objects"/*.o; do
    name=$(basename "$object" .o)
    ${CC:-gcc} -o "$name" "$object" || fail "cannot link $name"
    for options in "${preloaded_with[@]}"; do
        [ "$options" != guard_sample=10 ] || ! among "$name" "$guard_exceptions" || continue
        LD_PRELOAD=$build/libterrane-malloc.so TERRANE_OPTIONS=$options timeout 120 "./$name" \
            >out 2>&1 </dev/null
        judge "preloaded${options:+, $options}" "$name" $?
    done
    [ "$variant" != audit ] || continue
    among "$name" "$static_exceptions" && continue
    # The weak references of the tests do not pull a member out of an archive: -u does.
    if ! ${CC:-gcc} -static -o "$name" "$object" -Wl,-u,free_sized,-u,free_aligned_sized \
        "$build/libterrane-malloc.a" 2>link.err; then
        cat link.err
        fail "cannot link $name statically"
    fi
    timeout 120 "./$name" >out 2>&1 </dev/null
    judge static "$name" $?
    rm "$name"
done
echo "$passed passed"
[ "$failures" = 0 ] || fail "$failures programs"
