#!/usr/bin/env bash
# Fuzzes every target of the module, one after the other, each for the given time:
#
#   test/nightly.sh         ten minutes each, for a machine that is idle at night
#   test/nightly.sh 2s      a short while each, as .ci/run does
#
# The targets are those that `go test -list` knows. One that fails does not stop
# the others: at the end the failing inputs are named, and the exit status is 1.
set -uo pipefail
cd "$(dirname "$0")/.."
time=${1:-10m}

list=$(go test -list '^Fuzz' ./...) || { printf '%s\n' "$list"; exit 1; }
# The names of a package's targets stand in front of its "ok" line.
targets=$(awk '$1 == "ok" { for (i = 0; i < n; i++) print $2, name[i]; n = 0 } /^Fuzz/ { name[n++] = $1 }' <<<"$list")
count=$(grep -c . <<<"$targets")
if [ "$count" -lt 20 ]; then
  echo "only $count fuzz targets: they have moved"; exit 1
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
failures=()
while read -r package target; do
  printf '%s %s\n' "$package" "$target"
  # The seeds run first: the time may be too short to come to all of them.
  if go test "$package" -run "^$target\$" -fuzz "^$target\$" -fuzztime "$time" >"$log" 2>&1 </dev/null; then
    tail -n 2 "$log" | head -n 1
    continue
  fi
  cat "$log"
  input=$(sed -n 's/.*Failing input written to //p' "$log" | head -n 1)
  seed=$(sed -n -e 's/.*failure while testing seed corpus entry: //p' -e "s/^ *--- FAIL: \($target[/].*\) (.*/\1/p" "$log" | tail -n 1)
  failures+=("$target: $(go list -f '{{.Dir}}' "$package")/${input:-${seed:-no input, see above}}")
done <<<"$targets"

if [ ${#failures[@]} -gt 0 ]; then
  printf '\n%d of %d targets failed\n' ${#failures[@]} "$count"
  printf '%s\n' "${failures[@]}"
  exit 1
fi
printf '\n%d targets, none failed\n' "$count"
