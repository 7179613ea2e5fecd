#!/usr/bin/env bash
# wheels.sh: see whether the pinned dependencies come as wheels for each kind of processor that images are made for; what
# is no wheel would need a compiler, which the build has not. Nothing is installed. PYTHON names a python3 with pip.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(sed -n 's/^FROM python:\([0-9.]*\)-slim-bookworm.*/\1/p' Dockerfile | head -1)
report=$(mktemp)
trap 'rm -f "$report"' EXIT
for platform in $(grep -o 'linux/[a-z0-9]*' docker-bake.hcl | sort -u); do
  case $platform in linux/amd64) machine=x86_64 ;; linux/arm64) machine=aarch64 ;; *) echo "which wheels are for $platform?" >&2; exit 1 ;; esac
  tags=(--platform "manylinux2014_$machine")
  for minor in $(seq 17 36); do tags+=(--platform "manylinux_2_${minor}_$machine"); done # bookworm has glibc 2.36
  "${PYTHON:-python3}" -m pip install --quiet --quiet --disable-pip-version-check --dry-run --ignore-installed --target /nowhere \
    --python-version "$python" --implementation cp "${tags[@]}" --only-binary=:all: --constraint constraints.txt \
    --report "$report" '.[tracing]' > /dev/null
  python3 -c 'import json, sys
wheels = [item["download_info"]["url"] for item in json.load(open(sys.argv[1]))["install"]]
print(f"{sys.argv[2]}: {len(wheels) - 1} wheels, {sum(sys.argv[3] in url for url in wheels)} of them for this processor alone")' "$report" "$platform" "$machine"
done
