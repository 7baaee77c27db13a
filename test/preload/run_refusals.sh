#!/usr/bin/env bash
# What cannot work is refused before anything starts, by name and with a remedy.
. "$(dirname "$0")/run.bash"

refuse() {
    local status=$1
    shift
    expect_status "$status" "$terrane" run "$@"
    [ ! -s out ] || fail "something was run: $(cat out)"
    [ "$(grep -c . err)" -le 2 ] || fail "more than a line or two: $(cat err)"
}

# ---- the command line: status 2, the option, and where to look ----
refuse 2 --no-such-option -- echo
expect_words err "unknown option '--no-such-option'" 'terrane run --help'
refuse 2 --reports=text -- echo
expect_words err "unknown option '--reports=text'"
refuse 2 --report=pdf -- echo
expect_words err "text, json or html, not 'pdf'"
refuse 2 --output
expect_words err '--output needs a value'
refuse 2 --output '' -- echo
refuse 2 --env NAME -- echo
expect_words err "NAME=VALUE, not 'NAME'"
refuse 2 --env =value -- echo
refuse 2 --no-report --output report -- echo
expect_words err '--no-report contradicts'
refuse 2
expect_words err 'no program given'
refuse 2 --report=json --
refuse 2 -- ''
expect_status 0 "$terrane" run --help
expect_words out '--report' '--output' '--env' '--profile' '--no-report' 127

# ---- the program: 127 or 126 ----
refuse 127 -- no-such-program-anywhere
expect_words err "'no-such-program-anywhere'" PATH
refuse 127 -- ./missing
expect_words err ./missing 'No such file'
refuse 126 -- "$work"
expect_words err "$work" 'is a directory'
echo 'echo hello' >script && chmod 755 script
refuse 126 -- ./script
expect_words err ./script 'neither a program nor a script' 'terrane run -- sh ./script'
: >empty && chmod 755 empty
refuse 126 -- ./empty
refuse 126 -- /dev/null
expect_words err /dev/null

compile dynamic <<'C'
#include <stdio.h>
int main(void)
{
    return puts("ran") < 0;
}
C
expect_status 0 "$terrane" run -- ./dynamic
cp dynamic forbidden && chmod 644 forbidden
if [ "$(id -u)" = 0 ] || [ ! -x forbidden ]; then
    refuse 126 -- ./forbidden
    expect_words err ./forbidden 'not executable' 'chmod +x'
fi

if ${CC:-gcc} -static -x c -o static - <<<'int main(void) { return 0; }' 2>/dev/null; then
    refuse 126 -- ./static
    expect_words err ./static 'statically linked' 'libterrane-malloc.a'
    printf '#!%s -x\n' "$work/static" >of-static && chmod 755 of-static
    refuse 126 -- ./of-static
    expect_words err "$work/static" 'statically linked' ./of-static
    printf '#!/usr/bin/env static\n' >env-static && chmod 755 env-static
    PATH=$work:$PATH refuse 126 -- ./env-static
    expect_words err "$work/static" 'statically linked'
else
    echo "no static C library here: that part is left out"
fi
printf '#!%s\n' "$work/dynamic" >of-dynamic && chmod 755 of-dynamic
expect_status 0 "$terrane" run -- ./of-dynamic
expect_words out ran
printf '#!/nowhere/interpreter\n' >orphan && chmod 755 orphan
refuse 127 -- ./orphan
expect_words err ./orphan /nowhere/interpreter
printf '#!%s/loop\n' "$work" >loop && chmod 755 loop
refuse 126 -- ./loop
printf '#!   \n' >nothing && chmod 755 nothing
refuse 126 -- ./nothing

# Damaged in each of the first bytes that matter, and cut off: an error or a run, never a crash.
for length in 1 4 20 63 64 100 500; do
    head -c $length dynamic >damaged && chmod 755 damaged
    "$terrane" run --output report -- ./damaged >out 2>err
    [ $? -ge 125 ] || fail "a program cut off at $length was run"
done
for offset in 4 5 18 32 40 42 54 56 64 72 96; do
    cp dynamic damaged
    printf '\377\377' | dd of=damaged bs=1 seek=$offset conv=notrunc status=none
    rm -f report
    { "$terrane" run --output report -- ./damaged; } >out 2>err
    # It was refused in words, or it was run; then the report says how it ended, we did not crash.
    grep -q '^terrane run: ' err || grep -q 'exit status\|killed by' report ||
        fail "a program damaged at $offset: neither refused nor reported"
done

cp dynamic privileged && chmod 4755 privileged
refuse 126 -- ./privileged
expect_words err ./privileged set-uid 'cp ./privileged ./privileged'
chmod 2755 privileged
refuse 126 -- ./privileged
expect_words err ./privileged set-gid
chmod 755 privileged
if command -v setcap >/dev/null && setcap cap_net_raw+p privileged 2>/dev/null; then
    refuse 126 -- ./privileged
    expect_words err ./privileged 'file capabilities'
fi

# ---- places ----
refuse 125 --output "$work/no-folder/report" -- ./dynamic
expect_words err "$work/no-folder/report" 'No such file' --output
refuse 125 --output "$work" -- ./dynamic
expect_words err "$work" 'Is a directory'
refuse 125 --profile no-folder/profile -- ./dynamic
expect_words err no-folder/profile 'No such file' --profile
refuse 125 --profile "$work" -- ./dynamic
expect_words err "$work" 'Is a directory'
mkdir 'a b' && cp "$terrane" "${terrane%/*}/libterrane-malloc.so" 'a b'
expect_status 125 'a b/terrane' run -- ./dynamic
expect_words err 'a b/libterrane-malloc.so' 'space or a colon'
mkdir alone && cp "$terrane" alone
expect_status 125 alone/terrane run -- ./dynamic
expect_words err "$work/alone" 'libterrane-malloc.so' 'make'
