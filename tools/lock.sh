#!/usr/bin/env bash
# Pins the packages of envs/*.in, with hashes and without addresses, for every Python and platform that is supported.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .cache/lock/bin/uv ] || { python3 -m venv .cache/lock && .cache/lock/bin/pip install -q uv; }
for name in "${@:-setup runtime dev airflow}"; do
    for one in $name; do
        .cache/lock/bin/uv pip compile -q "envs/$one.in" -o "envs/$one.txt" --universal --python-version 3.11 \
            --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --no-annotate
    done
done
