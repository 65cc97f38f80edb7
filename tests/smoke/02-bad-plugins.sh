#!/bin/sh
# 02-bad-plugins.sh - plugin files that are wrong in every way: each is named with its reason, the others still work.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
CC=${CC:-cc}
include=$root/sdk/include
mkdir plugins

# so NAME FLAGS: a plugin of one sink that does nothing, from standard input or the text below.
so() {
    name=$1
    shift
    cat >"$name.c"
    # shellcheck disable=SC2086 # $CC may have flags
    $CC -std=gnu11 -fPIC -fvisibility=hidden -shared -I"$include" "$@" -o "plugins/$name.so" "$name.c" 2>>why ||
        result 1 "$name.so compiles"
}

sink='
static kp_status process(kp_node *node, void *state, kp_batch *b)
{
    (void)state;
    kp->deliver_all(b);
    kp->done(node, b);
    return KP_OK;
}
static const kp_option options[] = {{0}};
static const kp_element element = {.size = sizeof element, .kind = KP_SINK, .name = NAME, .help = "takes all",
                                   .options = options, .config_size = 1, .state_size = 1, .process = process};
'
{
    printf '#include <kpipe/plugin.h>\n#define NAME "good-one"\n%s\n' "$sink"
    printf 'KP_PLUGIN("good-one", "1.0", "MIT", &element)\n'
} | so good-one
is "a good plugin compiles" "$(ls plugins)" good-one.so

# A host of another major, and a newer minor of the same one.
sed -e 's/good-one/other-major/g' -e 's/KP_PLUGIN(\(.*\))$/#undef KP_ABI_MAJOR\n#define KP_ABI_MAJOR 2\nKP_PLUGIN(\1)/' good-one.c | so other-major
sed -e 's/good-one/newer-minor/g' -e 's/KP_PLUGIN(\(.*\))$/#undef KP_ABI_MINOR\n#define KP_ABI_MINOR 99\nKP_PLUGIN(\1)/' good-one.c | so newer-minor
{
    cat good-one.c
    echo '__attribute__((constructor)) static void die(void) { *(volatile int *)8 = 1; }'
} | so crashes
{
    cat good-one.c
    echo '#include <unistd.h>'
    echo '__attribute__((constructor)) static void leave(void) { _exit(7); }'
} | so leaves
{
    cat good-one.c
    echo '__attribute__((visibility("default"))) int another(void); int another(void) { return 1; }'
} | so two-symbols
{
    cat good-one.c
    echo 'extern int kpw_nothing(void); __attribute__((used)) static int call(void) { return kpw_nothing(); }'
} | so undefined
echo 'int some_library(void); __attribute__((visibility("default"))) int some_library(void) { return 1; }' | so no-plugin
echo 'this is no shared object at all' >plugins/text.so
: >plugins/empty.so
head -c 3000 plugins/good-one.so >plugins/torn.so
mkdir plugins/folder.so

KPIPE_PLUGINS=$work/plugins:$(dirname "$KPIPE")/plugins
export KPIPE_PLUGINS

# problem NAME PART: `kpipe plugin check` says what, in exit code 2.
problem() {
    kpipe plugin check "plugins/$1.so"
    status=0
    [ "$code" -eq 2 ] && grep -qF -- "$2" err && grep -q "plugins/$1.so" err || status=1
    [ $status -eq 0 ] || echo "exit code $code, wanted 2 and the file's name with \"$2\"" >>why
    result $status "plugin check of $1.so"
}
kpipe plugin check plugins/good-one.so
is "plugin check of a good one" "$code $(cat out)" "0 plugins/good-one.so: ok"
problem other-major "ABI"
problem newer-minor "newer"
# AddressSanitizer would make an exit code of the signal.
ASAN_OPTIONS=${ASAN_OPTIONS:-}:handle_segv=0
export ASAN_OPTIONS
problem crashes "crashed when it was opened: signal 11"
problem leaves "ended the process when it was opened, with code 7"
problem two-symbols "exports another; kpipe_plugin must be the only symbol"
problem undefined "kpw_nothing"
problem no-plugin "exports no kpipe_plugin"
problem text "is not a shared object"
problem empty "is not a shared object"
problem torn "is not a shared object"
problem folder "is not a shared object"
problem missing "No such file"

kpipe plugins
is "plugins lists what works in spite of them" "$code $(grep -c '^good-one ' out) $(grep -c '^null ' out)" "0 1 1"
is "and names each refused one once, with a reason" "$(grep -c '^refused: .*\.so ...' out)" "11"
is "of which none is silent about why" "$(grep '^refused: ' out | grep -c -e ABI -e crashed -e ended -e export -e kpw_nothing -e "no shared" -e "not a shared")" "11"
kpipe plugins --json
yes "plugins --json is JSON with the refused ones" "$PYTHON" -c '
import json
all = json.load(open("out"))
assert len(all["refused"]) == 11, all["refused"]
assert any(e["name"] == "good-one" for e in all["elements"])'

pipeline good.lua <<'END'
return { kpipe = 1, name = "good", flows = { main = { k.source.list { records = { "a", "b" } }, k.sink["good-one"] {} } } }
END
run good.lua
is "a pipeline with the good one runs beside the bad ones" "$code" 0
balance "and all its records are delivered" main 2 2 0 0 0

pipeline unknown.lua <<'END'
return { kpipe = 1, name = "unknown", flows = { main = { k.source.list { records = { "a" } }, k.sink["god-one"] {} } } }
END
kpipe run unknown.lua
is "an unknown plugin: exit code 2" "$code" 2
has "with file, line and the nearest name" "$(cat err)" "unknown.lua:2: "
has "did you mean" "$(cat err)" "did you mean 'good-one'"

sed 's/god-one/other-major/' unknown.lua >refused.lua
kpipe run refused.lua
is "a plugin of another ABI in a pipeline: exit code 2" "$code" 2
has "the message says why it was not loaded" "$(cat err)" "ABI"
sed 's/god-one/crashes/' unknown.lua >refused.lua
kpipe run refused.lua
is "a plugin that crashes in a pipeline: exit code 2" "$code" 2
has "the message says why it was not loaded" "$(cat err)" "crash"

KPIPE_PLUGINS=$work/nowhere
refuses "a plugin folder that is not there" 2 "nowhere" run good.lua
finish
