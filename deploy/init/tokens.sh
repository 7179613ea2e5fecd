#!/bin/sh
# tokens.sh FOLDER: make the tokens that FOLDER lacks: one by which Prometheus reads, one by which the sensor sends.
# Runs once the database is up. Each name is new: a token whose file was lost is of no use, and may be revoked.
set -eu
folder=$1

token() { # file, name, scope
  [ -s "$1" ] && return
  yocho token create "$2-$(date -u +%Y%m%d%H%M%S)" --scope "$3" > "$1.new"
  chmod 0444 "$1.new"
  mv "$1.new" "$1"
  echo "tokens: made one for $2"
}

token "$folder/prometheus/token" prometheus read
token "$folder/sensor/token" sensor ingest
