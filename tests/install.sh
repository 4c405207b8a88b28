#!/usr/bin/env bash
# Debian's packages, by name, that tests need, where root may install them. Where not, those tests are skipped and say why.
set -euo pipefail

missing=()
for package in "$@"; do
  [ "$(dpkg-query --show --showformat='${db:Status-Status}' "$package" 2> /dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ] || ! command -v apt-get > /dev/null; then
  echo "not installed, since that takes root and apt: ${missing[*]}" >&2
  exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update --quiet=2 && apt-get install --quiet=2 --yes --no-install-recommends "${missing[@]}"; } \
  || echo "apt-get could not install: ${missing[*]}" >&2
