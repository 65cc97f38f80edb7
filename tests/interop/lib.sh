# lib.sh - one local AWS with a folder of its own, and TAP-like results. Sourced by the scripts here.
# shellcheck shell=sh disable=SC1091
# Nothing of the caller's AWS settings or home is used, and nothing but 127.0.0.1 is asked.

tree=$(cd "$(dirname "$0")/../.." && pwd)
. "$(dirname "$0")/packages.sh"
KPIPE=${KPIPE:-build/kpipe}
work=$(mktemp -d "${TMPDIR:-/tmp}/kpipe-interop.XXXXXX")
server=
count=0
failed=0

# end_local SIGNAL
end_local() {
    if [ -n "$server" ]; then
        kill -s "$1" "$server" 2>/dev/null
        wait "$server" 2>/dev/null
        server=
    fi
    exec 3<&-
}

# As a power cut of the process: nothing is said to it.
crash_local() {
    end_local KILL
}

clean_up() {
    end_local TERM
    rm -rf "$work"
}
trap clean_up EXIT
trap 'exit 1' HUP INT TERM

# Starts it on a free port, with signatures verified, and sets $url. Further $local_options may be set.
start_local() {
    rm -f "$work/ready"
    mkfifo "$work/ready" || exit 1
    # shellcheck disable=SC2086 # several words
    "$KPIPE" local --port 0 --dir "$work/data" --no-limits --verify-signatures ${local_options:-} \
        >"$work/ready" 2>>"$work/log" &
    server=$!
    exec 3<"$work/ready" # stays open: the server may write to it
    word=
    # shellcheck disable=SC2034 # url is for those who source this file
    read -r word url <&3
    if [ "$word" != ready ]; then
        echo "Bail out! $KPIPE local did not start"
        sed 's/^/# /' "$work/log"
        exit 1
    fi
}

hermetic() {
    unset AWS_PROFILE AWS_SESSION_TOKEN AWS_ENDPOINT_URL AWS_CA_BUNDLE AWS_ROLE_ARN \
        AWS_WEB_IDENTITY_TOKEN_FILE http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    mkdir -p "$work/home"
    HOME=$work/home
    AWS_ACCESS_KEY_ID='test'
    AWS_SECRET_ACCESS_KEY='test'
    AWS_REGION=us-east-1
    AWS_DEFAULT_REGION=us-east-1
    AWS_EC2_METADATA_DISABLED=true
    AWS_CONFIG_FILE=$work/home/config
    AWS_SHARED_CREDENTIALS_FILE=$work/home/credentials
    AWS_MAX_ATTEMPTS=1
    AWS_PAGER=
    NO_PROXY='*'
    PYTHONDONTWRITEBYTECODE=1
    export HOME AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_REGION AWS_DEFAULT_REGION \
        AWS_EC2_METADATA_DISABLED AWS_CONFIG_FILE AWS_SHARED_CREDENTIALS_FILE AWS_MAX_ATTEMPTS \
        AWS_PAGER NO_PROXY PYTHONDONTWRITEBYTECODE
    : >"$AWS_CONFIG_FILE"
    : >"$AWS_SHARED_CREDENTIALS_FILE"
}

# result STATUS TEXT: prints "ok N - TEXT" when STATUS is 0.
result() {
    count=$((count + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $count - $2"
    else
        failed=$((failed + 1))
        echo "not ok $count - $2"
        if [ -s "$work/stderr" ]; then
            sed 's/^/# /' "$work/stderr"
        fi
    fi
    : >"$work/stderr"
}

# is TEXT GOT WANTED
is() {
    if [ "$2" = "$3" ]; then
        result 0 "$1"
    else
        printf 'got "%s", wanted "%s"\n' "$2" "$3" >>"$work/stderr"
        result 1 "$1"
    fi
}

# has TEXT GOT PART
has() {
    case $2 in
    *"$3"*) result 0 "$1" ;;
    *)
        printf 'got "%s", wanted something with "%s"\n' "$2" "$3" >>"$work/stderr"
        result 1 "$1"
        ;;
    esac
}

# skip_rest REASON: nothing more can be tried here; tests/run prints the reason.
skip_rest() {
    echo "ok - ${0##*/} # SKIP $1"
    exit 0
}

finish() {
    echo "1..$count"
    if [ "$failed" -gt 0 ] && [ -s "$work/log" ]; then
        tail -n 40 "$work/log" | sed 's/^/# log: /'
    fi
    [ "$failed" -eq 0 ]
}
