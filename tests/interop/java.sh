#!/bin/sh
# java.sh - the local AWS against the AWS SDK for Java 2: java/*Test.java. CBOR, and SubscribeToShard
# over HTTP/2.
#
# The libraries of java/pom.xml come through Maven, once, into build/interop-java/, from ~/.m2 where
# they are there. Without javac and mvn, or where they cannot be had, one line says so and the rest is
# skipped.
# shellcheck disable=SC1091,SC2154 # variables come from lib.sh
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/maven.sh"

here=$(cd "$(dirname "$0")" && pwd)
pom=$here/java/pom.xml
packages_of interop-java "$pom"

for tool in java javac; do
    command -v $tool >/dev/null 2>&1 || skip_rest "there is no $tool"
done
[ -d "$packages" ] || command -v mvn >/dev/null 2>&1 || skip_rest "there is no mvn"
fetch_packages Maven 'Non-parseable POM'

hermetic
mkdir "$work/classes"
javac -nowarn -encoding UTF-8 -proc:none -cp "$packages/*" -d "$work/classes" "$here"/java/*.java || {
    echo "not ok - the tests do not compile"
    exit 1
}
start_local
for test in "$here"/java/*Test.java; do
    test=${test##*/}
    timeout $((120 * ${SLOW:-1})) java -XX:TieredStopAtLevel=1 -Dfile.encoding=UTF-8 -Duser.home="$HOME" \
        -Djava.util.logging.config.file=/dev/null -cp "$work/classes:$packages/*" "${test%.java}" "$url" \
        "$here/operations.txt" || failed=1
done
[ "$failed" -eq 0 ] || tail -n 40 "$work/log" | sed 's/^/# log: /'
exit "$failed"
