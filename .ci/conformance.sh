#!/usr/bin/env bash
# The outside suite (../shared/conformance), the files that .ci/conformance lists; nothing to do where it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
suite=$(cd .. && pwd)/shared/conformance
[ -d "$suite" ] || { echo "no $suite: the outside suite is not run"; exit 0; }

files=()
while IFS= read -r name; do
  files+=("$suite/$name")
done < <(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' .ci/conformance)
[ ${#files[@]} -gt 0 ] || { echo ".ci/conformance lists no file"; exit 0; }

echo "conformance: $(sed -e 's/#.*//' .ci/conformance | tr '\n' ' ')"
export MERGANSER_CMD="$PWD/.venv/bin/merganser"
# -c /dev/null: the suite is not run under our own pytest settings; it may lie in a read-only folder.
remembered=$(mktemp -d)
trap 'rm -rf "$remembered"' EXIT
outside() {
  PYTHONDONTWRITEBYTECODE=1 .venv/bin/python -m pytest -c /dev/null --rootdir "$suite" -o cache_dir="$remembered" -p no:asyncio -q "$@"
}

outside -n "${JOBS:-2}" --dist loadfile "${files[@]}" && exit 0
printf '\n== what failed, once more and alone\n'
outside --last-failed --last-failed-no-failures none "${files[@]}" && echo 'flaky: they failed above, and passed alone'
