#!/bin/sh
# summary.sh FILE ... -> a job summary on standard output: Markdown as it is, anything else as a code block.
# GitHub takes 1 MiB a step and shows nothing above it, so it ends at the last whole line below and says so at its head.
set -eu
LC_ALL=C
export LC_ALL
limit=1000000
whole=$(mktemp)
trap 'rm -f "$whole"' EXIT

for file; do
  case $([ -s "$file" ] && echo "$file") in
  "") printf '**%s** was not made: see the failed steps of this job.\n\n' "$file" ;;
  *.md) cat "$file" ;;
  *) printf '```text\n' && cat "$file" && printf '```\n\n' ;;
  esac
done >"$whole"

size=$(wc -c <"$whole" | tr -d ' ')
if [ "$size" -gt "$limit" ]; then
  printf '> **Cut**: %s bytes are more than a job summary holds. Only the beginning follows; the whole is in the artifact.\n\n' "$size"
fi
awk -v limit="$limit" '{ size += length($0) + 1 } size > limit { exit } { print }' "$whole"
