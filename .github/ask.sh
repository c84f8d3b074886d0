#!/usr/bin/env bash
# What action.yml runs: one command, its table as the summary of the job and, on a pull request, as one comment.
# Everything comes as a variable, and nothing of it is ever read as a command.
set -euo pipefail

ours="$RUNNER_TEMP/repromatrix/bin/repromatrix"
case $COMMAND in
compare | check) form=(--format md) ;;
impact) form=(--markdown) ;;
*)
  printf '::error title=repromatrix::no command of this action: compare, check or impact\n'
  exit 2
  ;;
esac
mapfile -t lines <<<"$ARGUMENTS"
arguments=()
for each in "${lines[@]}"; do
  [ -z "${each// /}" ] || arguments+=("$each")
done

table=$(mktemp "$RUNNER_TEMP/repromatrix-XXXXXX.md")
code=0
"$ours" "$COMMAND" "${form[@]}" "${arguments[@]}" >"$table" || code=$?
printf 'code=%s\ntable=%s\n' "$code" "$table" >>"$GITHUB_OUTPUT"
if [ "$code" -gt 1 ] || [ ! -s "$table" ]; then
  printf '::error title=repromatrix::%s could not answer, exit code %s; the log above says why\n' "$COMMAND" "$code"
  exit "$((code > 1 ? code : 1))"
fi

"$ours" post summary "$table"
cat "$table"
if [ "$COMMENT" = true ] && [ -n "$NUMBER" ]; then
  "$ours" post comment --on "$NUMBER" --marker "${MARKER:-$COMMAND}" --if-allowed "$table"
fi
if [ "$code" = 1 ] && [ "$FAIL" = true ]; then
  printf '::error title=repromatrix::something differs; the table of this step says what\n'
  exit 1
fi
