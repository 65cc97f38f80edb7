#!/bin/sh
# 05-dead-letters.sh - records that fail, processes that are killed, and locks: nothing is lost, nothing runs twice.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"
LIMIT=20

# ---- dead letters

pipeline dead.lua <<'END'
local p = k.params { Failed = { default = true } }
local function check(e) if e.n % 3 == 0 then error("divisible", 0) end return e.n % 2 == 0 and e or nil end
return { kpipe = 1, name = "dead", leases = "file:dead.lease", flows = { main = {
  k.source.list { records = { '{"n":1}', '{"n":2}', '{"n":3}', '{"n":4}', '{"n":5}', '{"n":6}', 'no json', '\xff\xfe' }, key = "k1" },
  k.transform.lua { each = check, stage = "check" }, k.sink.file { path = "dead.txt" },
  on_failure = p.Failed and k.sink.file { path = "failed.txt" } or nil } } }
END
run dead.lua
is "dead letters: exit code 3" "$code" 3
balance "each record has one end" main 8 2 2 4 0
is "what is good is delivered" "$(cat dead.txt)" '{"n":2}
{"n":4}'
is "the others are in the file" "$(lines failed.txt)" 4
yes "an envelope tells where the record is from, and why it failed" "$PYTHON" -c '
import base64, json
letters = [json.loads(line) for line in open("failed.txt")]
one = letters[0]
assert one["pipeline"] == "dead" and one["flow"] == "main" and one["stage"] == "check", one
assert one["reason"].endswith("divisible") and one["attempts"] == 1, one
assert one["lane"] == "list" and one["key"] == "k1" and one["failed_at"].endswith("Z"), one
assert [l.get("data") for l in letters] == ["{\"n\":3}", "{\"n\":6}", "no json", None], letters
assert base64.b64decode(letters[3]["data_base64"]) == b"\xff\xfe", letters[3]'
rm -f dead.lease dead.txt
run dead.lua --set Failed=false
refused "a rejected record and no on_failure: exit code 1" 1 "divisible"
yes "nothing is lost" balanced
yes "it is left unsettled" test "$(sum unsettled)" -ge 1
has "the summary has the failure" "$(sum failure)" "no on_failure sink"
run dead.lua --set Failed=false
is "and the next run stops at it again" "$code $(grep -c divisible err)" "1 1"
rm -f failed.txt
run dead.lua
yes "with an on_failure sink it is read again and put aside" grep -qF '\"n\":3' failed.txt
is "exit code 3" "$code" 3
sed 's|path = "failed.txt"|path = "/dev/full"|' dead.lua >dead2.lua
rm -f dead.lease
run dead2.lua --until time:500ms --drain 500ms
is "an on_failure sink that cannot write: exit code 4" "$code" 4
yes "nothing counts as dead-lettered that nobody has" balanced
yes "they are unsettled" test "$(sum unsettled)" -ge 4

# ---- kills and locks

pipeline kill.lua <<'END'
return { kpipe = 1, name = "kill", leases = "file:kill.lease", checkpoint_interval = "100ms", flows = { main = {
  k.source.file { path = "numbers.txt" }, k.sink.file { path = "killed.txt" } } } }
END
seq 1 1000000 >numbers.txt
moved_or_over() {
    has_lines killed.txt "$1" || ! kill -0 "$pid"
}
killed=0
for _ in 1 2 3 4 5; do
    before=$(lines killed.txt)
    start killed "$KPIPE" run --quiet --log error --local local kill.lua
    until_true 10 moved_or_over $((before + 1000))
    kill -KILL "$pid" 2>/dev/null && killed=$((killed + 1))
    ended "$pid" 2>/dev/null
done
yes "kill -9 struck in the middle of a run" test "$killed" -ge 2
run kill.lua
is "after five kill -9 a run comes to its end" "$code" 0
is "and no record is missing" "$(sort -nu killed.txt | grep -cx '[0-9]*')" 1000000
yes "the runs went on where checkpoints were" test "$(lines killed.txt)" -lt 4000000

pipeline open.lua <<'END'
return { kpipe = 1, name = "open", leases = "file:open.lease", flows = {
  main = { k.source.generate { rate = 1000, lanes = 3 }, k.sink.file { path = "open.txt" } } } }
END
start first "$KPIPE" run --quiet --log info --local local open.lua
until_true 10 has_lines open.txt $(($(lines open.txt) + 10))
refuses "a second process on the lease file" 1 "another process runs with the lease file open.lease" \
    run --quiet --log error --local local2 open.lua
sed 's/file:open.lease/file:other.lease/; s/open.txt/other.txt/' open.lua >other.lua
kpipe run --quiet --log error --local local other.lua
refused "a second process on the local data directory" 1 "local"
kpipe local --port 0 --dir local
refused "and kpipe local on it" 1 "local"
kill -TERM "$pid"
ended "$pid"
is "the first one was not disturbed" "$code" 0
for text in 'no JSON' '[]' '{"kpipe":1,"flows":[]}' '{"kpipe":1,"flows":{"main":{"0":{"checkpoint":7}}}}'; do
    echo "$text" >broken.lease
    sed 's/file:open.lease/file:broken.lease/' open.lua >broken.lua
    run broken.lua --until records:1
    refused "a lease file with $text is not taken for an empty one" 1 "the lease file broken.lease cannot be read"
    is "and stays as it is" "$(cat broken.lease)" "$text"
done
finish
