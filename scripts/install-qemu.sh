#!/usr/bin/env bash
# Installs the QEMU that packages/qemu-oracle needs, on Debian; does nothing where it is there. Where the release's own QEMU is too old it
# comes from the release's backports: their source is the machine's own with the suite's name changed, so that no mirror is named here.
# With --check it installs nothing: it says what is missing, and fails.
set -euo pipefail

NEEDED=10.0
BINARIES=(aarch64 arm x86_64 riscv32 riscv64)
PACKAGES=(qemu-system-arm qemu-system-x86 qemu-system-misc)
APT=${APT_FOLDER:-/etc/apt}

# a version is at least the one needed when it sorts last of the two
enough() { [ "$(printf '%s\n' "$NEEDED" "$1" | sort -V | tail -n 1)" = "$1" ]; }

installed() {
  local target version
  for target in "${BINARIES[@]}"; do
    version=$("qemu-system-$target" --version 2>/dev/null | sed -n 's/.*version \([0-9.]*\).*/\1/p' | head -n 1) || return 1
    if [ -z "$version" ] || ! enough "$version"; then return 1; fi
  done
}

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

# The stanzas (deb822) and lines of the machine's sources that have the release's own suite, with the backports' instead.
stanzas() {
  find "$APT" -maxdepth 2 -name '*.sources' -exec awk -v RS= -v suite="$1" '
    $0 ~ "(^|\n)Suites:([^\n]*[ \t])?" suite "([ \t]|\n|$)" && $0 ~ "(^|\n)Types:[^\n]*deb" && !seen++ {
      sub(/\nSuites:[^\n]*/, "\nSuites: " suite "-backports")
      print $0 "\n"
    }' {} +
}
lines() {
  find "$APT" -maxdepth 2 -name '*.list' -exec sed -n "s/^\(deb .*[[:space:]]\)$1\([[:space:]]\)/\1$1-backports\2/p" {} + | head -n 1
}

enable_backports() {
  local stanza
  stanza=$(stanzas "$1")
  if [ -n "$stanza" ]; then
    printf '%s\n' "$stanza" | as_root tee "$APT/sources.list.d/io-pgtable-backports.sources" >/dev/null
  else
    stanza=$(lines "$1")
    if [ -z "$stanza" ]; then echo "no apt source of this machine has the suite $1: install QEMU $NEEDED or later by hand" >&2; return 1; fi
    printf '%s\n' "$stanza" | as_root tee "$APT/sources.list.d/io-pgtable-backports.list" >/dev/null
  fi
}

candidate() { apt-cache policy "$@" | sed -n 's/.*Candidate: \([0-9]*:\)\{0,1\}\([0-9.]*\).*/\2/p' | head -n 1; }

main() {
  if installed; then exit 0; fi
  if [ "${1:-}" = --check ]; then echo "not installed: QEMU $NEEDED or later for ${BINARIES[*]}; $0 installs it on Debian" >&2; exit 1; fi
  if ! command -v apt-get >/dev/null; then echo "no apt here: install QEMU $NEEDED or later by hand" >&2; exit 1; fi
  local release from=()
  release=$(. /etc/os-release && echo "$VERSION_CODENAME")
  as_root apt-get update -qq
  if ! enough "$(candidate qemu-system-arm)"; then
    enable_backports "$release"
    as_root apt-get update -qq
    from=(-t "$release-backports")
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${from[@]}" "${PACKAGES[@]}"
  if ! installed; then echo "QEMU is installed, and still older than $NEEDED" >&2; exit 1; fi
}

# sourced, the functions can be tried one by one
if [ "${BASH_SOURCE[0]}" = "$0" ]; then main "$@"; fi
