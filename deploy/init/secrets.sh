#!/bin/sh
# secrets.sh FOLDER [GIVEN]: make the secrets that FOLDER lacks. A secret that is a file of that name in GIVEN is taken
# from there. Runs before everything else in docker-compose.yml, and by `make deploy-secrets` for other places.
set -eu
folder=$1 given=${2:-/nowhere}

random() { # 256 bits, as letters, digits, - and _
  head -c 32 /dev/urandom | base64 | tr '+/' '-_' | tr -d '=\n'
}

keep() { # file, content: whole or not at all
  mkdir -p "$(dirname "$1")"
  printf '%s' "$2" > "$1.new"
  chmod "${MODE:-0444}" "$1.new"
  mv "$1.new" "$1"
}

secret() { # name, file, prefix
  if [ -e "$given/$1" ]; then
    [ -r "$given/$1" ] || { echo "secrets: $given/$1 can't be read by user $(id -u); let its group do so" >&2; exit 1; }
    keep "$2" "$(tr -d '\r\n' < "$given/$1")"
  elif [ ! -s "$2" ]; then
    keep "$2" "$3$(random)"
    echo "secrets: made $1"
  fi
}

if [ "${LAYOUT:-flat}" = compose ]; then # a folder for each reader: each is a volume that only its reader mounts
  secret postgres_password "$folder/store/password" ""
  secret admin_token "$folder/api/admin_token" yo_
  secret grafana_password "$folder/grafana/password" ""
  database="postgresql://yocho:$(cat "$folder/store/password")@postgres/yocho"
else
  secret postgres_password "$folder/postgres_password" ""
  secret admin_token "$folder/admin_token" yo_
  secret grafana_password "$folder/grafana_password" ""
  database="postgresql://yocho:$(cat "$folder/postgres_password")@${STORE:-postgres}/yocho"
fi
if [ "${LAYOUT:-flat}" = compose ]; then keep "$folder/api/database" "$database"; else keep "$folder/database" "$database"; fi
