#!/bin/sh
# 01-commands.sh - the command line: help, versions, and one clear message for what is not understood.
# shellcheck disable=SC2154 # $code comes from lib.sh
. "$(dirname "$0")/lib.sh"

pipeline good.lua <<'END'
local p = k.params { Count = { default = 3, min = 1, max = 9, help = "records" } }
return { kpipe = 1, name = "good", flows = { main = {
  k.source.generate { count = p.Count }, k.sink.file { path = "good.txt" } } } }
END

for command in run check show graph plugins plugin new local provision leases; do
    kpipe $command --help
    is "$command --help goes to standard output and ends with 0" "$code $(head -c 12 out) $(messages)" \
        "0 usage: kpipe 0"
done
kpipe help
is "help names every command" "$code $(grep -c '^  kpipe ' out)" "0 12"
kpipe --version
has "--version" "$(cat out)" "kpipe 0."
kpipe
is "no command at all: help, exit code 2" "$code $(grep -c 'kpipe run' out)" "2 1"

refuses "a misspelt command" 2 "there is no command 'rnu'; did you mean 'run'?" rnu
refuses "a command that resembles none" 2 "there is no command 'frobnicate'" frobnicate
refuses "a misspelt option" 2 "run has no option --sumary; did you mean --summary?" run --sumary x good.lua
refuses "an option that resembles none" 2 "run has no option --zzzzzzzz" run --zzzzzzzz good.lua
refuses "an unknown short option" 2 "has no option -x" run -x good.lua
refuses "an option without its value" 2 "--until wants a value" run good.lua --until
refuses "a value for an option that has none" 2 "--aws takes no value" run --aws=yes good.lua
for command in check show graph plugins new local "provision synth" leases; do
    # shellcheck disable=SC2086 # two words
    refuses "$command with an unknown option" 2 "has no option --bogus" $command --bogus
done
for value in foo end: idle idle:x idle:3 time:0x records:0 records:-1 records:1x ''; do
    refuses "--until '$value'" 2 "--until wants end, idle:30s, records:1000 or time:5m" run --until "$value" good.lua
done
for value in 3 x 5XB 1KiB -1MiB '' 99999999999GiB; do
    refuses "--memory '$value'" 2 "--memory wants a size" run --memory "$value" good.lua
done
for value in 0 -1 257 two 1.5 ''; do
    refuses "--workers '$value'" 2 "--workers wants a number from 1 to 256" run --workers "$value" good.lua
done
refuses "--drain without a unit" 2 "--drain wants a time" run --drain 30 good.lua
refuses "--checkpoint of nothing" 2 "--checkpoint wants a time" run --checkpoint 0s good.lua
refuses "--log of no level" 2 "--log wants error, warn, info or debug" run --log loud good.lua
refuses "--set without a value" 2 "--set wants NAME=VALUE" run --set Count good.lua
refuses "--set without a name" 2 "--set wants NAME=VALUE" run --set =1 good.lua
refuses "--listen of no address" 2 "--listen wants an address" run --listen nonsense good.lua
refuses "local --port that is none" 2 "--port wants a number" local --port 65536
refuses "local --listen of no address" 2 "--listen wants an address" local --listen nowhere:x
refuses "local --durability that is none" 2 "--durability wants fsync, os or memory" local --port 0 --durability often
refuses "plugins of an unknown name" 2 'no plugin brings "kinesi"' plugins kinesi
kpipe plugins pipeline
has "plugins pipeline: the options beside the flows" "$code $(tr -s ' ' <out)" " failover_time duration 1s..10m 10s "
kpipe plugins pipeline --json
yes "and as JSON" "$PYTHON" -c '
import json
names = [row["name"] for row in json.load(open("out"))["elements"][0]["options"]]
assert "leases" in names and "coordination" in names, names'
refuses "new plugin of an impossible name" 2 "is no plugin name" new plugin Bad_Name --kind sink

kpipe run good.lua --set Cuont=3
is "--set of an unknown parameter: exit code 2" "$code" 2
has "and the nearest name" "$(cat err)" "did you mean"
kpipe run good.lua --set Count=10
is "--set out of range: exit code 2" "$code" 2
has "and the range" "$(cat err)" "between 1 and 9"
kpipe run good.lua --set Count=abc
is "--set of another type: exit code 2" "$code" 2
kpipe run nowhere.lua
is "a pipeline file that is not there: exit code 2" "$code" 2
has "and its name" "$(cat err)" "nowhere.lua: cannot be read: No such file or directory"
is "nothing was started by any of these" "$(ls -d .kpipe good.txt 2>/dev/null)" ""

kpipe run --quiet good.lua --set Count=4
is "an option behind the file counts too" "$code $(lines good.txt)" "0 4"
finish
