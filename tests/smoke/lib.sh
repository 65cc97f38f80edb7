# lib.sh - what the smoke tests share: a folder of its own, runs with a time limit, TAP. To be sourced.
# shellcheck shell=sh
# Nothing of the caller's AWS settings or home is used, and nothing but 127.0.0.1 is asked.

root=$(cd "$(dirname "$0")/../.." && pwd)
KPIPE=${KPIPE:-$root/build/kpipe}
case $KPIPE in
/*) ;;
*) KPIPE=$PWD/$KPIPE ;;
esac
PYTHON=${PYTHON:-python3}
LIMIT=${LIMIT:-30} # seconds a single run may take
work=$(mktemp -d "${TMPDIR:-/tmp}/kpipe-smoke.XXXXXX") || exit 1
children=
count=0
failed=0

for name in $(env | sed -n 's/^\(AWS_[A-Za-z0-9_]*\|KPIPE_[A-Za-z0-9_]*\|STREAM\|BUCKET\|[a-zA-Z]*_[pP][rR][oO][xX][yY]\)=.*/\1/p'); do
    unset "$name"
done
mkdir "$work/home"
HOME=$work/home
AWS_EC2_METADATA_DISABLED=true
NO_PROXY='*'
LC_ALL=C.UTF-8
export HOME AWS_EC2_METADATA_DISABLED NO_PROXY LC_ALL
cd "$work" || exit 1

# Ends what was started in the background, each by its id.
clean_up() {
    for pid in $children; do
        kill -KILL "$pid" 2>/dev/null
        wait "$pid" 2>/dev/null
    done
    cd /
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# result STATUS TEXT: "ok N - TEXT" when STATUS is 0, else why, from $work/why and the last run's $work/err.
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        failed=$((failed + 1))
        echo "not ok $count - $2"
        [ ! -s why ] || sed 's/^/# /' why
        [ ! -s err ] || tail -n 15 err | sed 's/^/# err: /'
    fi
    : >why
}

# is TEXT GOT WANTED
is() {
    [ "$2" = "$3" ]
    status=$?
    [ $status -eq 0 ] || printf 'got "%s", wanted "%s"\n' "$2" "$3" >>why
    result $status "$1"
}

# has TEXT GOT PART
has() {
    case $2 in
    *"$3"*) result 0 "$1" ;;
    *)
        printf 'got "%s", wanted something with "%s"\n' "$2" "$3" >>why
        result 1 "$1"
        ;;
    esac
}

# yes TEXT COMMAND...: the command succeeds.
yes() {
    text=$1
    shift
    "$@" >>why 2>&1
    status=$?
    [ $status -eq 0 ] || echo "exit code $status of: $*" >>why
    result $status "$text"
}

skip() {
    count=$((count + 1))
    echo "ok $count - # SKIP $1"
}

# Is the program built with a sanitizer? Then memory cannot be judged, nor other programs be linked with its
# libraries. ci/sanitize says so.
sanitized() {
    [ -n "${SANITIZED:-}" ]
}

finish() {
    echo "1..$count"
    [ "$failed" -eq 0 ]
}

# kpipe ARGUMENT...: runs it to its end; sets $code, and leaves out and err. A run that does not end in
# $LIMIT seconds gets code 124.
kpipe() {
    timeout -k 5 "$LIMIT" "$KPIPE" "$@" >out 2>err </dev/null
    code=$?
}

# run FILE ARGUMENT...: `kpipe run` that says nothing but what went wrong, with the summary in ./sum.
run() {
    rm -f sum
    kpipe run --quiet --log error --summary sum --local local "$@"
}

# Lines of the last run's standard error that a person sees.
messages() {
    grep -c . err
}

# refuses TEXT CODE PART ARGUMENT...: kpipe ends with CODE and says one thing, which has PART.
refuses() {
    text=$1
    want=$2
    part=$3
    shift 3
    kpipe "$@"
    refused "$text" "$want" "$part"
}

# refused TEXT CODE PART: the same of the run before.
refused() {
    status=0
    [ "$code" -eq "$2" ] || status=1
    grep -qF -- "$3" err || status=1
    [ "$(messages)" -eq 1 ] || status=1
    [ $status -eq 0 ] || echo "exit code $code, wanted $2 and one line with \"$3\"" >>why
    result $status "$1"
}

# sum PATH: a value of the summary: `sum flows.main.read`.
sum() {
    "$PYTHON" -c '
import json, sys
value = json.load(open("sum"))
for name in sys.argv[1].split("."):
    value = value[int(name) if isinstance(value, list) else name]
print(value)' "$1" 2>&1
}

# Every record of every flow ended once, or will be read again.
balanced() {
    "$PYTHON" -c '
import json, sys
summary = json.load(open("sum"))
for name, flow in [("all", summary), *summary["flows"].items()]:
    ends = sum(flow[k] for k in ("delivered", "filtered", "dead_lettered", "unsettled"))
    if flow["read"] != ends:
        sys.exit("%s: read %d, but %d ended" % (name, flow["read"], ends))
'
}

# balance TEXT FLOW READ DELIVERED FILTERED DEAD UNSETTLED
balance() {
    is "$1" "$(sum "flows.$2.read") $(sum "flows.$2.delivered") $(sum "flows.$2.filtered") $(sum "flows.$2.dead_lettered") $(sum "flows.$2.unsettled")" \
        "$3 $4 $5 $6 $7"
}

# start NAME COMMAND...: in the background, output in NAME.out and NAME.err; sets $pid.
start() {
    name=$1
    shift
    "$@" >"$name.out" 2>"$name.err" </dev/null &
    pid=$!
    children="$children $pid"
}

# ended PID: waits for it and sets $code.
ended() {
    wait "$1"
    code=$?
    next=
    for child in $children; do
        [ "$child" = "$1" ] || next="$next $child"
    done
    children=$next
}

# until_true SECONDS COMMAND...: asks again and again; what another process does cannot be waited for otherwise.
until_true() {
    left=$(($1 * 20))
    shift
    until "$@" >/dev/null 2>&1; do
        left=$((left - 1))
        [ $left -gt 0 ] || return 1
        sleep 0.05
    done
}

lines() {
    cat "$@" 2>/dev/null | wc -l | tr -d ' '
}

has_lines() {
    [ "$(lines "$1")" -ge "$2" ]
}

# A port nobody listens on now.
free_port() {
    "$PYTHON" -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# pipeline FILE: standard input is the returned table, behind the line that gets `k`.
pipeline() {
    {
        echo 'local k = require "kpipe"'
        cat
    } >"$1"
}
