#!/usr/bin/env bash
# Installs Debian's Chromium for the tests of the pages; does nothing where there is one.
set -euo pipefail
if [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null; then
    echo "[ERROR] this system has no apt-get" >&2
    echo "  -> install Chromium by its own means, or name one: CHROMIUM=/path make test" >&2
    exit 1
fi
as_root=$([ "$(id -u)" = 0 ] || echo sudo)
$as_root apt-get update -qq
DEBIAN_FRONTEND=noninteractive $as_root apt-get install -qq -y --no-install-recommends chromium >/dev/null
