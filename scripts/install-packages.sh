#!/usr/bin/env bash
# Installs what the long tests need beside QEMU, on Debian: Chromium, a C compiler and binutils; does nothing where they are there.
# With --check it installs nothing: it says what is missing, and fails.
set -euo pipefail

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

packages=()
if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then packages+=(chromium); fi
if ! command -v gcc >/dev/null; then packages+=(gcc libc6-dev); fi
if ! command -v readelf >/dev/null; then packages+=(binutils); fi
if [ ${#packages[@]} -eq 0 ]; then exit 0; fi
if [ "${1:-}" = --check ]; then echo "not installed: ${packages[*]}; $0 installs them on Debian" >&2; exit 1; fi
as_root apt-get update -qq
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends "${packages[@]}"
