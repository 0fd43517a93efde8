#!/usr/bin/env bash
# Runs every test, with all that a fresh machine needs for it: Python, and container engines of the tests' own, which are gone at the end.
# The last line is: N passed, N failed, N skipped
# Usage: build/test.sh [arguments for dotnet test]
#        DEEPRECALL_TEST_ENGINES=0 build/test.sh      without engines: their tests are skipped
set -uo pipefail
cd "$(dirname "$0")/.."
export DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1

if ! command -v dotnet >/dev/null; then
  echo "The .NET SDK is needed (version 10.0 or newer, see global.json), and dotnet is not on PATH." >&2
  exit 1
fi

if ! command -v python3 >/dev/null; then
  if command -v apt-get >/dev/null && [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends python3
  else
    echo "Python 3.9 or newer is needed, and python3 is not on PATH." >&2
    exit 1
  fi
fi

work=$(mktemp -d)
log=$work/log
trap 'build/engines.sh stop "$work/engines"; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
if [ "${DEEPRECALL_TEST_ENGINES:-1}" != 0 ]; then
  build/engines.sh start "$work/engines"
  . "$work/engines/env"
fi

dotnet test "$@" 2>&1 | grep --line-buffered -v 'warning NU1603' | tee "$log"
status=${PIPESTATUS[0]}

count() { sed -n "s/^ *$1: *\([0-9][0-9]*\) *$/\1/p" "$log" | tail -n 1; }
passed=$(count succeeded) failed=$(count failed) skipped=$(count skipped)
if [ -z "$passed" ]; then
  echo "No test ran." >&2
  [ "$status" -ne 0 ] || status=1
fi
echo "${passed:-0} passed, ${failed:-0} failed, ${skipped:-0} skipped"
exit "$status"
