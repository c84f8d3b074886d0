#!/bin/sh
# Writes the vendored files again from the packages that templates/vendor/README.md names, each held against its digest
# there; with --check it writes nothing and exits 1 if a file differs.
set -eu

cd "$(dirname "$0")/.."
table=templates/vendor/README.md
check=${1:-}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { echo "vendor: $*"; }
fail() { echo "vendor: $*" >&2; exit 1; }
command -v npm >/dev/null || fail "no npm: install it (Debian: apt-get install npm), then try again"

put() {
    if [ "$check" = --check ]; then
        cmp -s "$1" "$2" || fail "$2 is not the package's: sh scripts/vendor.sh"
    else
        cp "$1" "$2" && chmod 644 "$2" && say "$2"
    fi
}

# Rows of a table of the README, their columns apart by one blank.
rows() { awk -F '[ ]*[|][ ]*' -v columns="$1" '$2 ~ /^[a-z@]/ && $2 != "package" && NF == columns + 2 {
    line = $2; for (i = 3; i <= columns + 1; i++) line = line " " $i; print line }' "$table"; }

rows 4 | while read -r name version _ integrity; do
    folder=$work/$name
    mkdir -p "$folder"
    (cd "$folder" && npm pack --silent "$name@$version" >/dev/null) || fail "npm cannot fetch $name@$version"
    digest=sha512-$(openssl dgst -sha512 -binary "$folder"/*.tgz | base64 | tr -d '\n')
    [ "$digest" = "$integrity" ] || fail "$name@$version has the digest $digest, $table names $integrity"
    tar -xzf "$folder"/*.tgz -C "$folder"
done
rows 3 | while read -r name source target; do put "$work/$name/package/$source" "$target"; done

# The style that Plot inserts beside every picture, for the class name that the page gives: an inline style is allowed by
# the digest of exactly this text.
awk '/svg.append\("style"\)/ { inside = 1; next } inside && /`$/ { sub(/`$/, ""); printf "%s", $0; exit } inside { print }' \
    "$work/@observablehq/plot/package/src/plot.js" | sed 's/^ *`:where/:where/; s/\${className}/picture/g' >"$work/plot-style.css"
put "$work/plot-style.css" templates/vendor/plot-style.css
say "done"
