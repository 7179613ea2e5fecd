#!/usr/bin/env bash
# check.sh: bring docker-compose.yml up as a stranger would, try that it works, take it down. `make deploy-check` runs it
# after wheels.sh and grafana/check.sh.
# Needs a Docker daemon, docker compose (or docker-compose), curl and python3. Images that can't be had are skipped with
# a line; POSTGRES_IMAGE, PROMETHEUS_IMAGE and GRAFANA_IMAGE name others. SENSOR=0 leaves out the sensor, BUILD=0 takes the
# image as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
project=yocho-check began=$SECONDS
export IMAGE=${IMAGE:-yocho:0.1.0} YOCHO_PORT=${YOCHO_PORT:-18000} PROMETHEUS_PORT=${PROMETHEUS_PORT:-19090}
export GRAFANA_PORT=${GRAFANA_PORT:-13000} INTERFACE=${INTERFACE:-lo}
export POSTGRES_IMAGE=${POSTGRES_IMAGE:-postgres:17.6-bookworm}
export PROMETHEUS_IMAGE=${PROMETHEUS_IMAGE:-prom/prometheus:v3.5.0} GRAFANA_IMAGE=${GRAFANA_IMAGE:-grafana/grafana:12.1.1}
api=http://127.0.0.1:$YOCHO_PORT

if docker compose version > /dev/null 2>&1; then compose=(docker compose); else compose=(docker-compose); fi
compose+=(-f deploy/docker-compose.yml -p "$project" --profile sensor)

say() { printf '%4d s  %s\n' $((SECONDS - began)) "$*"; }
fail() { say "FAILED: $*"; "${compose[@]}" ps; "${compose[@]}" logs --tail=30; exit 1; }
had() { docker image inspect "$1" > /dev/null 2>&1 || docker pull --quiet "$1" > /dev/null 2>&1; }
container() { "${compose[@]}" ps -q "$1"; }
state() { docker inspect --format '{{if .State.Health}}{{.State.Health.Status}}{{else}}{{.State.Status}}{{end}}' "$(container "$1")"; }
read_json() { python3 -c "import json, sys; document = json.load(sys.stdin); print($1)"; }
asked() { curl -fsS -m 10 -H "Authorization: Bearer $token" "$@"; }

await() { # seconds, what, command …: until the command succeeds
  local seconds=$1 what=$2; shift 2
  for _ in $(seq "$seconds"); do "$@" > /dev/null 2>&1 && { say "$what"; return; }; sleep 1; done
  fail "not within $seconds s: $what"
}
healthy() { [ "$(state "$1")" = healthy ]; }

had "$POSTGRES_IMAGE" || { say "skipped: all, as $POSTGRES_IMAGE can't be had"; exit 0; }
services=(api worker)
for pair in prometheus="$PROMETHEUS_IMAGE" grafana="$GRAFANA_IMAGE"; do
  if had "${pair#*=}"; then services+=("${pair%%=*}"); else say "skipped: ${pair%%=*}, as ${pair#*=} can't be had"; fi
done

page=$(mktemp)
trap 'rm -f "$page"; "${compose[@]}" down -v --remove-orphans > /dev/null 2>&1' EXIT
"${compose[@]}" down -v --remove-orphans > /dev/null 2>&1 || true
if [ "${BUILD:-1}" != 0 ] || ! docker image inspect "$IMAGE" > /dev/null 2>&1; then "${compose[@]}" build --quiet api > /dev/null; fi
say "image $IMAGE: $(($(docker image inspect --format '{{.Size}}' "$IMAGE") / 1000000)) MB"
docker run --rm --entrypoint sh "$IMAGE" -c '! command -v gcc cc clang && ! python -c "import torch" 2> /dev/null' \
  || fail "the image has a compiler or torch"

"${compose[@]}" up -d --no-build "${services[@]}" > /dev/null 2>&1 || fail "compose up"
await 120 "the API is ready" curl -fsS -m 3 "$api/readyz"
await 60 "a worker is healthy" healthy worker
for service in "${services[@]}" postgres; do
  docker inspect --format '{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.Memory}}' \
    "$(container "$service")" | grep -Eq '^[1-9][0-9]*:[0-9]+ true \[ALL\] [1-9]' || fail "$service has more rights than it should"
done
say "no service is root, can write to its image, or has a capability; all have bounds of memory"

[ "$(curl -s -o /dev/null -w '%{http_code}' "$api/v1/alerts")" = 401 ] || fail "the API lets anybody in"
token=$("${compose[@]}" exec -T api cat /run/secrets/admin_token)
wanted=$(docker run --rm -i --network none "$IMAGE" yocho scan --format jsonl - < examples/lab.pcap | tail -1 | read_json 'document["summary"]["alerts"]')
job=$(asked -H 'Content-Type: application/vnd.tcpdump.pcap' --data-binary @examples/lab.pcap "$api/v1/windows?sensor=check" | read_json 'document["url"]')
docker kill --signal KILL "$(container worker)" > /dev/null
say "a capture was posted; the worker was killed"
docker start "$(container worker)" > /dev/null
finished() { [ "$(asked "$api$job" | read_json 'document["state"]')" = "done" ]; }
await 120 "its work is done" finished
found=$(asked "$api/v1/alerts?limit=200" | read_json 'len(document["items"])')
[ "$found" = "$wanted" ] || fail "$found alerts instead of the $wanted that yocho scan finds"
say "$found alerts, as many as yocho scan finds"
[[ $(asked "$api/metrics") == *'yocho_work_taken_total{kind="upload"} 1'* ]] || fail "/metrics does not count the upload"
say "/metrics counts the upload"
asked "$api/metrics" > "$page"
for name in $(grep -hoE '\byocho_[a-z_]+' deploy/prometheus/alerts.yml deploy/grafana/dashboards/yocho.json | sort -u); do
  family=${name%_bucket} family=${family%_sum}
  grep -Eq "^# TYPE ($family|${family%_count}) " "$page" || fail "/metrics has no $name"
done
say "it has all that rules and dashboard ask for: $(grep -c '^# TYPE yocho_' "$page") metrics"
selfcheck() { "${compose[@]}" exec -T api yocho selfcheck --url http://127.0.0.1:8000 --token-file /run/secrets/admin_token; }
selfcheck > "$page" || fail "selfcheck: $(cat "$page")"
say "yocho selfcheck: $(tail -1 "$page")"

prometheus=http://127.0.0.1:$PROMETHEUS_PORT
scraped() { [ "$(curl -fsS -m 5 "$prometheus/api/v1/query?query=up%7Bjob%3D~%22yocho-.%2A%22%7D" | read_json 'sorted(row["value"][1] for row in document["data"]["result"])')" = "['1', '1']" ]; }
rules() { [ "$(curl -fsS -m 5 "$prometheus/api/v1/rules" | read_json '{rule["health"] for group in document["data"]["groups"] for rule in group["rules"]}')" = "{'ok'}" ]; }
if [[ " ${services[*]} " == *" prometheus "* ]]; then
  promtool() { "${compose[@]}" exec -T prometheus promtool "$@"; }
  promtool check config /etc/prometheus/prometheus.yml > /dev/null || fail "promtool check config"
  asked "$api/metrics" | promtool check metrics || fail "promtool check metrics"
  say "promtool takes its configuration, the rules, and /metrics"
  await 90 "Prometheus reads api and worker" scraped
  await 60 "Prometheus finds its alert rules good" rules
fi
shown() { curl -fsS -m 5 -u "admin:$("${compose[@]}" exec -T grafana cat /run/secrets/password)" "http://127.0.0.1:$GRAFANA_PORT/api/dashboards/uid/yocho"; }
if [[ " ${services[*]} " == *" grafana "* ]]; then await 90 "Grafana shows the dashboard" shown; fi

if [ "${SENSOR:-1}" != 0 ]; then
  "${compose[@]}" up -d --no-build sensor > /dev/null 2>&1 || fail "compose up sensor"
  await 60 "the sensor listens on $INTERFACE" healthy sensor
  "${compose[@]}" exec -T sensor grep -Eq '^CapEff:\s*0+$' /proc/1/status || fail "the sensor keeps capabilities"
  say "it is $(docker inspect --format '{{.Config.User}} and was given {{.HostConfig.CapAdd}}' "$(container sensor)"), and gave them up"
fi
say "all is well"
