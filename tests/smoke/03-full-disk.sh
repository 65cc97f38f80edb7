#!/bin/sh
# 03-full-disk.sh - full disks of every kind: one clear message, the right exit code, and every record is there in the end.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
LIMIT=15

# A folder of 64 KiB when this may mount, else files may not grow over 64 KiB.
mkdir small
if mount -t tmpfs -o size=64k kpipe-smoke small 2>/dev/null; then
    clean_small() {
        umount "$work/small" 2>/dev/null
        clean_up
    }
    trap clean_small EXIT
    is_mounted=yes
else
    is_mounted=
fi

pipeline ok.lua <<'END'
return { kpipe = 1, name = "ok", leases = "file:ok.lease", flows = { main = { k.source.list { records = { "a" } }, k.sink.null {} } } }
END

pipeline full.lua <<'END'
return { kpipe = 1, name = "full", leases = "file:lease", flows = { main = {
  k.source.generate { count = 1000, size = "200B" }, k.sink.file { path = k.env("PATH_OUT", "small/out") } } } }
END
if [ "$is_mounted" ]; then
    run full.lua --drain 1s --until time:500ms
    is "file sink on a full disk: exit code 4, for nothing was lost" "$code" 4
    has "it says so" "$(cat err)" "the drain time was over"
    yes "what did not fit is left unsettled" balanced
    is "no half line is left" "$(tail -c 1 small/out | od -An -tx1 | tr -d ' ')" "$([ -s small/out ] && echo 0a)"
    kpipe run --quiet full.lua --local local --drain 1s --until time:500ms
    is "the reason is logged once by the stage, not for each try" "$(grep -c 'write.failed.*No space left on device' err)" 1
    rm -f small/out
    mount -o remount,size=4m small
    run full.lua
    is "with room again, the next run ends with 0" "$code" 0
    is "and every record is there" "$(lines small/out)" 1000
    rm -f small/out
    mount -o remount,size=64k small
else
    skip "may not mount: full disk of the file sink"
fi

pipeline lease.lua <<'END'
return { kpipe = 1, name = "lease", leases = "file:small/lease", flows = { main = {
  k.source.generate { count = 100 }, k.sink.file { path = "lease.out" } } } }
END
if [ "$is_mounted" ]; then
    head -c 1m /dev/zero >small/filler 2>/dev/null
    run lease.lua
    is "lease file on a full disk: exit code 1" "$code" 1
    is "one message" "$(grep -c 'cannot write the lease file small/lease: No space left on device' err) $(messages)" "1 1"
    rm -f small/filler
    run lease.lua
    is "with room again, exit code 0" "$code" 0
    has "what was not noted is read again" "$(lines lease.out)" 200
    rm -f small/lease lease.out
    head -c 1m /dev/zero >small/filler 2>/dev/null
    refuses "summary on a full disk" 1 "cannot write the summary small/sum: No space left on device" \
        run --quiet --log error --local local --summary small/sum ok.lua
    is "no half summary is left" "$(find small -name "*sum*")" ""
else
    skip "may not mount: full disk of the lease file and the summary"
fi
refuses "summary into a folder that is not there" 1 "cannot write the summary nowhere/sum: No such file or directory" \
    run --quiet --log error --local local --summary nowhere/sum ok.lua
if [ -c /dev/full ]; then
    refuses "summary to /dev/full" 1 "cannot write the summary /dev/full: No space left on device" \
        run --quiet --log error --local local --summary /dev/full ok.lua
    yes "/dev/full is still a device" test -c /dev/full
fi

pipeline stream.lua <<'END'
local stream = k.resource.stream { name = "full", shards = 1 }
return { kpipe = 1, name = "stream", resources = { stream }, flows = { main = {
  k.source.generate { count = 3000, size = "500B" }, k.sink.kinesis { stream = stream } } } }
END
if [ "$is_mounted" ]; then
    rm -f small/*
    mount -o remount,size=768k small
    kpipe run --quiet --log error --summary sum --local small/local --drain 1500ms --until time:1s stream.lua
    yes "local AWS on a full disk: exit code 1 or 4" test "$code" = 1 -o "$code" = 4
    has "the reason is said" "$(cat err)" "No space left on device"
    [ ! -f sum ] || yes "nothing is lost" balanced
    is "and not with every try" "$(sed 's/^[^ ]*Z //; s/ repeated=.*//' err | sort -u | wc -l | tr -d ' ')" 2
    mount -o remount,size=16m small
    run stream.lua --local small/local
    sed 's/k.source.generate { [^}]*}, k.sink.kinesis { [^}]*}/k.source.kinesis { stream = stream }, k.sink.file { path = "stream.out" }/; s/"stream"/"reader"/' stream.lua >reader.lua
    run reader.lua --local small/local --until end
    is "with room again, the next run writes what is missing" "$code" 0
    yes "and every record is in the stream" has_lines stream.out 3000
else
    skip "may not mount: full disk of the local AWS"
fi

# A limit on the size of files works everywhere: 512 blocks are 256 KiB.
pipeline limit.lua <<'END'
return { kpipe = 1, name = "limit", leases = "file:limit.lease", flows = { main = {
  k.source.generate { count = 3000, size = "199B" }, k.sink.file { path = "limit.out" } } } }
END
(
    ulimit -f 512
    run limit.lua --drain 1s --until time:500ms
    exit "$code"
)
is "file sink at a limit: exit code 4" "$?" 4
is "one message" "$(messages) $(grep -c 'the drain time was over' err)" "1 1"
yes "what did not fit is left unsettled" balanced
yes "no half line is left" "$PYTHON" -c '
import os
assert os.path.getsize("limit.out") % 200 == 0 and os.path.getsize("limit.out") <= 512 * 512'
run limit.lua
is "without it, the next run brings the rest" "$code $(lines limit.out)" "0 3000"
sed 's|path = "limit.out"|path = "/dev/full"|; s/limit.lease/device.lease/; s/count = 3000/count = 5/' limit.lua >device.lua
run device.lua --drain 1s --until time:300ms
is "a device that is full: exit code 4, all unsettled" "$code $(sum unsettled)" "4 5"
finish
