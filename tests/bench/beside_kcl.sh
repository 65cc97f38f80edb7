# beside_kcl.sh - kpipe beside the Kinesis Client Library and the Kinesis Producer Library themselves:
# `bench --kcl`. Sourced by scripts/bench; README.md here says what is measured and how.
# shellcheck shell=sh disable=SC1091,SC2034,SC2154
work=$dir
tree=$PWD
here=tests/interop/kcl
. tests/interop/packages.sh
. tests/interop/maven.sh

skip_rest() {
    skip "KCL, KPL" "$1"
    exit 0
}

# library NAME JAR PROGRAM: sets $path and $version.
library() {
    program "$1" ../../bench/kcl/figures "../../bench/kcl/$3"
    version=$(cd "$packages" && ls "$2"-[0-9]*.jar)
    version=${version##*-}
    version=${version%.jar}
}

libraries() {
    for tool in java javac; do
        have $tool || skip_rest "$tool is not installed"
    done
    library kcl2 amazon-kinesis-client reader
    kcl2=$path kcl2_name="KCL $version"
    library kcl3 amazon-kinesis-client reader
    kcl3=$path kcl3_name="KCL $version"
    library kpl amazon-kinesis-producer writer
    kpl=$path kpl_name="KPL $version"
    unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY
    export AWS_EC2_METADATA_DISABLED=true
    row "Java, with its defaults" "" "$(java -version 2>&1 | sed -n 3p)"
}

# java_run CLASS_PATH CLASS ARG ...: its lines are for said.
java_run() {
    timeout --foreground 300 java -Dorg.slf4j.simpleLogger.defaultLogLevel=error -cp "$@" >"$dir/said" 2>"$dir/java.err" ||
        die "$2: $(tail -n 3 "$dir/java.err")"
    records=$(said records)
    [ "$records" -ge "$count" ] || die "$2: $records of $count records"
}

said() { awk -v name="$1" '$1 == name { print $2; exit }' "$dir/said"; }
mb_of() { calc %.0f "$(said "$1") * 1024 / 1e6"; }

# beside LABEL US MB RATE
beside() {
    times=
    [ -z "$own" ] || times="; $(calc %.1f "$2 / $own") times kpipe"
    row "$1" "$(calc %.2f "$2") us" "$(calc %.0f "$4")/s, $3 MB at most$times"
}

# kpipe_row LABEL: of the last run, of which $spent is left without what a start costs.
kpipe_row() {
    beside "$1" "$(calc %f "$spent * 1e6 / $count")" "$(calc %.0f "$(field peak_rss_bytes) / 1e6")" \
        "$(calc %f "$count / ($(field seconds) - $start_seconds)")"
    [ -n "$own" ] || own=$(calc %f "$spent * 1e6 / $count")
}

# java_row LABEL MB: of the last program. A KCL that cannot renew in time loses leases, and reads some records again.
java_row() {
    beside "$1" "$(calc %f "$(said cpu) * 1e6 / $records")" "$2" "$(calc %f "$records / $(said seconds)")"
    warm=$(calc %f "$(said half_cpu) * 1e6 / $(said half_records)")
    row "   the second half" "$(calc %.2f "$warm") us" "$(calc %.1f "$warm / $own") times kpipe"
    [ "$records" -eq "$count" ] ||
        row "   read again" "$((records - count))" "$(grep -c "lease was lost" "$dir/java.err") leases were lost"
    echo "$1:$(said start_seconds):$(said start_cpu)" >>"$dir/starts"
}

start_rows() {
    row "kpipe, a run without records" "$(calc %.1f "$start_seconds") s" "$(calc %.2f "$start_cpu") s CPU, taken off above"
    while IFS=: read -r label seconds start_cpu; do
        row "$label, start to first record" "$(calc %.1f "$seconds") s" \
            "$(calc %.2f "$start_cpu") s CPU, not counted above"
    done <"$dir/starts"
    rm "$dir/starts"
}

# read_as RUN: one of several applications.
read_as() {
    # shellcheck disable=SC2086 # words
    run kinesis_read --aws --no-limits $of --set Run="$1"
}

# reads WHAT NAME SIZE COUNT [OPTION ...]: all three read the same stream. Their lease tables were made by
# kpipe while it was empty, so that none waits as KCL does for its first worker ever.
reads() {
    title "$1, $shards shards; CPU a record of the reader"
    shift
    aws_alone --no-limits --durability memory
    stream "$1" "$2" "$shards"
    for application in kcl2 kcl3 kpipe; do
        read_as $application
    done
    start_cpu=$(field cpu_seconds) start_seconds=$(field seconds) fill_start=0 own=
    read_from=$1-$2-$shards size=$2
    fill "$@"
    read_as kpipe
    [ "$(field delivered)" -eq "$count" ] || die "$(field delivered) of $count records were read"
    spent=$(calc %f "$(field cpu_seconds) - $start_cpu")
    kpipe_row kpipe
    for application in kcl2 kcl3; do
        eval "path=\$$application label=\$${application}_name"
        java_run "$path" Reader endpoint="$address" stream="bench-$read_from" count="$count" \
            application="bench-kinesis-read-$read_from-$application"
        [ "$(said bytes)" -eq $((records * size)) ] || die "$label: $(said bytes) bytes"
        java_row "$label" "$(mb_of jvm_kb)"
    done
    start_rows
    aws_ends
}

# The KPL speaks TLS only. It gives each record one of 1,000 keys; so does the function in kinesis_fill.lua.
writes() {
    shards=8 start_seconds=0 fill_start=0 own=
    title "100 B, written in aggregates, $shards shards, TLS; CPU a record of the writer"
    aws_alone --no-limits --durability memory --tls
    export AWS_ENDPOINT_URL="https://localhost:${address##*:}" AWS_CA_BUNDLE="$dir/kinesis/tls.crt"
    set -- --set Aggregate=true --set Keys=1000
    fill start 100 1 "$@"
    start_cpu=$(field cpu_seconds) start_seconds=$(field seconds) fill_start=$start_cpu
    fill cbor 100 4000000 "$@"
    kpipe_row "kpipe, in CBOR"
    fill json 100 4000000 "$@" --set Wire=json
    kpipe_row "kpipe, in JSON"
    AWS_ENDPOINT_URL=$address
    fill clear 100 4000000 "$@"
    kpipe_row "kpipe, in CBOR without TLS"
    stream kpl 100 "$shards"
    mkdir "$dir/kpl.d"
    count=400000
    java_run "$kpl" Writer host=127.0.0.1 port="${address##*:}" temp="$dir/kpl.d" stream="bench-kpl-100-$shards" \
        count=$count size=100 keys=1000
    java_row "$kpl_name, in JSON" "$(mb_of jvm_kb) + $(mb_of child_kb)"
    row "   its native program's part" "$(calc %.2f "$(said child_cpu) * 1e6 / $count") us" "the rest is the JVM's"
    read_as kpipe
    [ "$(field delivered)" -eq $((count + 1)) ] || die "$(field delivered) records of the KPL are there"
    start_rows
    unset AWS_CA_BUNDLE
    aws_ends
}

beside_kcl() {
    libraries
    for shards in 2 64; do
        reads "1 KB, read" plain 1024 1000000
    done
    shards=8
    reads "100 B, read from aggregates" aggregated 100 4000000 --set Aggregate=true --set Keys=1000
    writes
}
