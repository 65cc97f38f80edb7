#!/bin/sh
# js.sh - the local AWS against the AWS SDK for JavaScript and aws-kinesis-agg: js/*.test.mjs.
#
# The packages of js/package-lock.json come from npm's registry, once, into build/interop-js/; where
# they cannot be had, or node is missing or too old, one line says so and the rest is skipped.
# shellcheck disable=SC1091,SC2154 # variables come from lib.sh
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
packages_of interop-js "$here/js/package.json" "$here/js/package-lock.json"

fetch() {
    cp "$here/js/package.json" "$here/js/package-lock.json" "$1" &&
        (cd "$1" && HOME="$CALLER_HOME" timeout 240 npm ci --ignore-scripts --no-audit --no-fund \
            --fetch-retries=2 --fetch-retry-mintimeout=1000 --fetch-retry-maxtimeout=10000)
}

command -v node >/dev/null 2>&1 || skip_rest "there is no node"
[ "$(node -p 'parseInt(process.versions.node) >= 18')" = true ] ||
    skip_rest "node $(node --version) is older than 18"
[ -d "$packages" ] || command -v npm >/dev/null 2>&1 || skip_rest "there is no npm"
fetch_packages npm 'EINTEGRITY|EUSAGE'

hermetic
KPIPE=$(cd "$(dirname "$KPIPE")" && pwd)/${KPIPE##*/}
INTEROP_ROOT=$(cd "$here/../.." && pwd)
INTEROP_CALLS=$work/calls
export KPIPE INTEROP_ROOT INTEROP_CALLS
: >"$INTEROP_CALLS"

# The tests lie below node_modules while they run: that is how their imports are found.
run=$packages/run.$$
mkdir "$run" || exit 1
trap 'rm -rf "$run"; clean_up' EXIT
cp "$here"/js/*.mjs "$here"/js/*.lua "$here/operations.txt" "$run"
cd "$run" || exit 1
# shellcheck disable=SC2086 # INTEROP_JS may name some: "sqs.test.mjs"
node --test --test-reporter=tap ${INTEROP_JS:-*.test.mjs} || failed=1
if [ -z "${INTEROP_JS:-}" ] && [ "$failed" -eq 0 ]; then
    node coverage.mjs "$INTEROP_CALLS" || failed=1
fi
exit "$failed"
