#!/usr/bin/env bash
# Installs Debian's chromium for the browser tests when none is there; never asks, never fails the build:
# without a browser the tests that need one are skipped and say why.
set -u

for name in "${LEAN_AGENTIC_CHROMIUM:-}" chromium chromium-browser google-chrome; do
    [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 && exit 0
done

if ! command -v apt-get >/dev/null 2>&1; then
    echo "No chromium and no apt-get: the browser tests will be skipped. Install Chromium, or name one in LEAN_AGENTIC_CHROMIUM."
    exit 0
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! sudo -n true 2>/dev/null; then
        echo "No chromium, and no right to install it: the browser tests will be skipped. Run: sudo apt-get install chromium"
        exit 0
    fi
    as_root="sudo -n"
fi

echo "Installing chromium for the browser tests ..."
export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
if $as_root apt-get update -q >"$log" 2>&1 && $as_root apt-get install -y -q chromium fonts-dejavu-core >>"$log" 2>&1; then
    echo "Installed: $(command -v chromium)"
else
    tail -n 5 "$log"
    echo "Installing chromium failed (see above): the browser tests will be skipped."
fi
rm -f "$log"
exit 0
