#!/usr/bin/env bash
# check.sh: compare the dashboard with the types that Grafana publishes. Needs npm, and a python3 with jsonschema
# (PYTHON names it); what npm brings goes to build/grafana.
set -euo pipefail
"${PYTHON:-python3}" -c 'import jsonschema' 2> /dev/null && command -v npm > /dev/null \
  || { echo "skipped: the dashboard, as there is no npm, or no jsonschema for ${PYTHON:-python3}"; exit 0; }
python=$(realpath -s "$(command -v "${PYTHON:-python3}")")
cd "$(dirname "$0")"
build=../../build/grafana
mkdir -p "$build"
cp dashboard.ts "$build"
cd "$build"
version=$(sed -n 's/.*grafana\/grafana:\([0-9.]*\).*/\1/p' ../../deploy/docker-compose.yml)
npm install --silent --no-audit --no-fund --ignore-scripts --no-save "@grafana/schema@$version" ts-json-schema-generator@2.4.0
echo '{"compilerOptions": {"strict": true, "skipLibCheck": true}, "files": ["dashboard.ts"]}' > tsconfig.json
npx --no-install ts-json-schema-generator --path dashboard.ts --tsconfig tsconfig.json --type Ours --no-type-check --out schema.json
"$python" - ../../deploy/grafana/dashboards/yocho.json <<'P'
import json, sys
import jsonschema
schema = json.load(open("schema.json"))
dashboard = json.load(open(sys.argv[1]))
wrong = [f"{list(error.path)}: {error.message[:300]}" for error in jsonschema.Draft7Validator(schema).iter_errors(dashboard)]
sys.exit("\n".join(wrong) or 0)
P
echo "the dashboard is as the types of Grafana $version want it"
