#!/usr/bin/env bash
# Record real clients, real scanners, a flood and password guessing: OUTDIR/lab.pcap and OUTDIR/lab.truth.json.
#
#   usage: record_lab.sh OUTDIR        (as root, on Linux; about three minutes)
#
# Every host is a network namespace of its own, so every address has exactly one known part to play:
#
#   clients   ─┐
#   scanners  ─┼─ lan0 (bridge) ─ router ─ dmz0 ── servers: 10.30.0.1–200 live, .201–.253 nobody
#   guessers  ─┘  10.20.0.0/24      │              10.30.0.0/24, 2001:db8:30::/64
#              2001:db8:20::/64     └─ 10.30.1.0/24 is dropped without a word
#
# The capture is taken on lan0, the router's side of the clients' network. The script itself runs in fresh
# network, mount and host-name namespaces: nothing it starts can reach the outside, and its files lie in a
# tmpfs that ends with it. The machine is not changed.
set -euo pipefail

readonly MAX_CAPTURE_BYTES=4000000
readonly SNAP_LENGTH=128
readonly DURATION=160                       # seconds of traffic
readonly LIMIT=$((DURATION + 60))           # no step outlives this
readonly RATE=10mbit                        # both ways, so that a scan and honest traffic share the line
readonly WORK=/run/lab
readonly PREFIX=yocho-lab-$$
readonly ROUTER_MAC=02:00:00:00:20:fe

# One address for one part: what an address does, nobody else does.
declare -rA ADDRESS=(
  [office_1]=10.20.0.11 [office_2]=10.20.0.12 [developer]=10.20.0.13 [monitor]=10.20.0.14
  [misconfigured]=10.20.0.15 [office_v6]=2001:db8:20::16 [admin_v6]=2001:db8:20::17
  [wrk]=10.20.0.18
  [nmap_syn]=10.20.0.101 [nmap_connect]=10.20.0.102 [nmap_udp]=10.20.0.103 [nmap_fin]=10.20.0.104
  [nmap_sweep]=10.20.0.105 [nmap_slow]=10.20.0.106 [masscan]=10.20.0.107 [masscan_block]=10.20.0.108
  [zmap]=10.20.0.109 [hping3]=10.20.0.110 [fping]=10.20.0.111
  [syn_flood]=10.20.0.121 [hydra]=10.20.0.131 [ncrack]=10.20.0.132
)

# Command and Debian package of everything that is run.
readonly TOOLS="nmap:nmap masscan:masscan zmap:zmap hping3:hping3 fping:fping hydra:hydra ncrack:ncrack
  curl:curl dig:bind9-dnsutils ssh:openssh-client wrk:wrk ping:iputils-ping nginx:nginx-light
  dnsmasq:dnsmasq sshd:openssh-server tcpdump:tcpdump"
readonly PLUMBING="ip:iproute2 tc:iproute2 ethtool:ethtool sysctl:procps nsenter:util-linux
  unshare:util-linux ssh-keygen:openssh-client python3:python3"

say() { echo "record_lab: $*" >&2; }
die() { say "$*"; exit 1; }

check_machine() {
  [[ $(id -u) -eq 0 ]] || die "needs root to make network namespaces; run it with sudo"
  local pair missing=()
  for pair in $TOOLS $PLUMBING; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
  done
  [[ ${#missing[@]} -eq 0 ]] || die "tools are missing; install them with: apt-get install ${missing[*]}"
}

# --- the private machine ------------------------------------------------------------------------------------

enter_private_machine() {
  # The script starts itself again in new namespaces and learns from the old one's name that it is inside.
  local mounts
  mounts=$(readlink /proc/self/ns/mnt)
  if [[ -z ${LAB_OUTSIDE:-} || $LAB_OUTSIDE == "$mounts" ]]; then
    LAB_OUTSIDE=$mounts exec unshare --mount --uts --net "$SELF" "$OUT"
  fi
}

prepare_private_machine() {
  hostname lab
  mount -t tmpfs -o mode=0755 tmpfs /run
  mount -t tmpfs -o mode=0755 tmpfs /var/log      # sshd notes failed logins there
  mkdir -p "$WORK" /run/sshd
  cd "$WORK"                                      # commands name files without a path
  ip link set lo up
}

clean_up() {
  # Whatever lives in our mount namespace was started here. The namespaces and the tmpfs end with it.
  local here entry process
  exec 2>/dev/null                                # the shell would report every process that it kills
  here=$(readlink /proc/self/ns/mnt)
  for entry in /proc/[0-9]*; do
    process=${entry#/proc/}
    if [[ $process != "$$" && $(readlink "$entry/ns/mnt") == "$here" ]]; then
      kill -KILL "$process" || true
    fi
  done
  wait || true
  for entry in /run/netns/"$PREFIX"-*; do
    [[ ! -e $entry ]] || ip netns delete "${entry##*/}" || true
  done
}

# at HOST SECONDS COMMAND…: run a command on a host of the lab, for so long at most. Not `ip netns exec`,
# which would mount a new /sys.
at() {
  local host=$1 limit=$2
  shift 2
  timeout --kill-after=2 "$limit" nsenter --net="/run/netns/$PREFIX-$host" "$@" </dev/null
}

# --- the network --------------------------------------------------------------------------------------------

plain_packets() {  # HOST DEVICE: every packet as long as on a wire, with its checksum
  at "$1" 5 ethtool -K "$2" tx off gso off tso off gro off >/dev/null 2>&1
}

new_host() {
  ip netns add "$PREFIX-$1"
  at "$1" 5 ip link set lo up
}

wire() {  # HOST PORT: the host's eth0 to a port of the router
  at "$1" 5 ip link add eth0 type veth peer name "$2" netns "$PREFIX-router"
  plain_packets "$1" eth0
  plain_packets router "$2"
  at router 5 ip link set "$2" up
  at "$1" 5 ip link set eth0 up
}

build_router() {
  new_host router
  at router 5 sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
  at router 5 ip link add lan0 address "$ROUTER_MAC" type bridge
  plain_packets router lan0
  at router 5 ip address add 10.20.0.254/24 dev lan0
  at router 5 ip address add 2001:db8:20::fe/64 dev lan0 nodad
  at router 5 ip link set lan0 up
  at router 5 ip route add blackhole 10.30.1.0/24
  at router 5 tc qdisc add dev lan0 root tbf rate $RATE burst 32kb latency 100ms
}

build_servers() {
  new_host servers
  wire servers dmz0
  at router 5 ip address add 10.30.0.254/24 dev dmz0
  at router 5 ip address add 2001:db8:30::fe/64 dev dmz0 nodad
  at router 5 tc qdisc add dev dmz0 root tbf rate $RATE burst 32kb latency 100ms
  local last
  for last in {1..200}; do echo "address add 10.30.0.$last/32 dev lo"; done >addresses
  for last in 22 53 80; do echo "address add 2001:db8:30::$last/64 dev eth0 nodad"; done >>addresses
  at servers 10 ip -batch addresses
  at servers 5 ip route add default via 10.30.0.254 dev eth0 onlink
  at servers 5 ip -6 route add default via 2001:db8:30::fe
}

build_host() {  # NAME ADDRESS: one machine of the clients' network
  new_host "$1"
  wire "$1" "port${2##*[.:]}"
  at router 5 ip link set "port${2##*[.:]}" master lan0
  if [[ $2 == *:* ]]; then
    at "$1" 5 ip address add "$2/64" dev eth0 nodad
    at "$1" 5 ip -6 route add default via 2001:db8:20::fe
  else
    at "$1" 5 ip address add "$2/24" dev eth0
    at "$1" 5 ip route add default via 10.20.0.254
  fi
}

build_network() {
  say "building the network"
  build_router
  build_servers
  local name
  for name in "${!ADDRESS[@]}"; do build_host "$name" "${ADDRESS[$name]}"; done
}

# --- the servers --------------------------------------------------------------------------------------------

start_web() {
  mkdir -p www
  head -c 700 /dev/zero | tr '\0' i >www/index.html
  head -c 6000 /dev/zero | tr '\0' p >www/page.html
  head -c 20000 /dev/zero | tr '\0' b >www/blob
  local last listen=""
  for last in {80..89}; do listen+="listen 10.30.0.$last:80; listen 10.30.0.$last:8080; "; done
  cat >nginx.conf <<CONF
daemon off; pid $WORK/nginx.pid; error_log $WORK/nginx.log; worker_processes 1; user root;
events { worker_connections 512; }
http {
  access_log off; server_tokens off;
  client_body_temp_path $WORK/body; proxy_temp_path $WORK/proxy; fastcgi_temp_path $WORK/fastcgi;
  uwsgi_temp_path $WORK/uwsgi; scgi_temp_path $WORK/scgi;
  server { $listen listen [2001:db8:30::80]:80; root $WORK/www; }
}
CONF
  at servers $LIMIT nginx -e "$WORK/nginx.log" -c "$WORK/nginx.conf" >nginx.out 2>&1 &
}

start_names() {
  local last records=()
  for last in {80..89}; do records+=("--host-record=web$last.lab.test,10.30.0.$last"); done
  at servers $LIMIT dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts --user=root \
    --pid-file= --bind-interfaces --listen-address=10.30.0.53,2001:db8:30::53 --local=/lab.test/ \
    --host-record=www.lab.test,10.30.0.80,2001:db8:30::80 "${records[@]}" >dnsmasq.out 2>&1 &
}

start_shell() {
  ssh-keygen -q -t ed25519 -N '' -C lab -f host_key
  ssh-keygen -q -t ed25519 -N '' -C lab -f client_key
  # root may come in with the key only: no guessed password can be right.
  cat >sshd.conf <<CONF
ListenAddress 10.30.0.22
ListenAddress 10.30.0.23
ListenAddress 2001:db8:30::22
HostKey $WORK/host_key
AuthorizedKeysFile $WORK/client_key.pub
PermitRootLogin prohibit-password
PasswordAuthentication yes
StrictModes no
UsePAM no
PidFile none
MaxStartups 50:30:100
CONF
  cat >ssh.conf <<CONF
User root
IdentityFile client_key
IdentitiesOnly yes
BatchMode yes
ConnectTimeout 5
LogLevel ERROR
StrictHostKeyChecking no
UserKnownHostsFile /dev/null
CONF
  at servers $LIMIT "$(command -v sshd)" -D -e -f sshd.conf >sshd.out 2>&1 &
}

start_servers() {
  say "starting nginx, dnsmasq and sshd"
  start_web
  start_names
  start_shell
  local tries
  for tries in {1..50}; do
    if at servers 5 curl -s -o /dev/null http://10.30.0.80/ \
      && at servers 5 dig +short +time=1 +tries=1 @10.30.0.53 www.lab.test >/dev/null \
      && at servers 5 ssh -F ssh.conf 10.30.0.22 true 2>/dev/null; then return; fi
    sleep 0.2
  done
  tail -n 5 nginx.out nginx.log dnsmasq.out sshd.out >&2 || true
  die "a server did not start after $tries tries; its last words are above"
}

# --- honest clients -----------------------------------------------------------------------------------------

note() {  # NAME ROLE KIND COMMAND: a line for the truth
  printf '%s\t%s\t%s\t%s\t%s\n' "$1" "$2" "$3" "${ADDRESS[$1]}" "$4" >>events.tsv
}

pause() { sleep "$(($1 + RANDOM % 2)).$((RANDOM % 10))"; }

# client NAME DESCRIPTION ROUND: call the function ROUND again and again until the recording ends.
client() {
  note "$1" benign "" "$2"
  while ((SECONDS < DURATION)); do "$3" "$1" >/dev/null 2>&1 || true; done &
}

browse() {
  local web=$((80 + RANDOM % 10))
  at "$1" 5 dig +short +time=1 +tries=1 @10.30.0.53 "web$web.lab.test"
  at "$1" 8 curl -s -m 6 "http://10.30.0.$web/" "http://10.30.0.$web/page.html"
  ((RANDOM % 4)) || at "$1" 8 curl -s -m 6 "http://10.30.0.$web:8080/blob"
  pause 1
}

browse_v6() {
  at "$1" 5 dig +short +time=1 +tries=1 @2001:db8:30::53 www.lab.test AAAA
  at "$1" 8 curl -s -m 6 "http://[2001:db8:30::80]/" "http://[2001:db8:30::80]/page.html"
  pause 2
}

develop() {
  at "$1" 8 ssh -F ssh.conf "10.30.0.$((22 + RANDOM % 2))" 'head -c 3000 /dev/zero'
  at "$1" 8 curl -s -m 6 http://10.30.0.85:8080/page.html
  pause 5
}

administer_v6() {
  at "$1" 5 ping -c 2 -i 0.5 2001:db8:30::22
  at "$1" 8 ssh -F ssh.conf 2001:db8:30::22 'head -c 500 /dev/zero'
  pause 8
}

watch_servers() {
  local last
  for last in 22 53 80 81 82; do
    at "$1" 4 ping -c 1 -W 1 "10.30.0.$last" || true
  done
  for last in 80 81 82; do at "$1" 4 curl -s -m 2 "http://10.30.0.$last/" || true; done
  pause 8
}

fail() {
  at "$1" 5 curl -s -m 3 https://10.30.0.80:8443/ || true                  # closed port: refused
  at "$1" 5 dig +time=1 +tries=1 @10.30.0.53 wpad.lab.test || true         # no such name
  at "$1" 5 dig +time=1 +tries=2 @10.30.0.54 www.lab.test || true          # no resolver: port unreachable
  at "$1" 30 curl -s --connect-timeout 3 --retry 5 --retry-delay 1 --retry-connrefused \
    http://10.30.1.9/ || true                                              # dead, silent: tried again
  at "$1" 8 curl -s -m 5 http://10.30.0.230/ || true                       # dead: host unreachable
  at "$1" 8 curl -s -m 5 http://10.30.0.80/page.html
  pause 3
}

start_clients() {
  client office_1 "curl and dig in a loop" browse
  client office_2 "curl and dig in a loop" browse
  client office_v6 "curl and dig over IPv6 in a loop" browse_v6
  client developer "ssh and curl in a loop" develop
  client admin_v6 "ping and ssh over IPv6 in a loop" administer_v6
  client monitor "ping to 5 servers and curl to 3 in a loop" watch_servers
  client misconfigured "curl to a closed port, to a dead address (--retry 5) and to an address that is not \
there; dig for a missing name and at a missing resolver; in a loop" fail
}

# --- scanners, a flood, guessing, a load test ---------------------------------------------------------------

# event START SECONDS NAME ROLE KIND COMMAND…: run the command on host NAME, START seconds into the recording.
event() {
  local start=$1 limit=$2 name=$3 role=$4 kind=$5
  shift 5
  note "$name" "$role" "$kind" "$*"
  (
    sleep "$start"
    status=0
    at "$name" "$limit" "$@" >"$name.out" 2>&1 || status=$?
    say "at ${SECONDS} s: $name ended (status $status)"   # 124 is masscan, which does not stop by itself
  ) &
}

start_events() {
  : >empty.txt          # zmap's own list would forbid private addresses
  printf '%s\n' {alpha,bravo,charlie,delta,echo,foxtrot,golf,hotel}{1,2,3,4} >passwords.txt
  event 6 150 nmap_slow scan vertical nmap -n -Pn -sS --scan-delay 1s --max-retries 1 -p 1-100 10.30.0.40
  event 10 20 fping scan horizontal fping -q -a -r 0 -i 20 -g 10.30.0.1 10.30.0.253
  event 15 40 nmap_syn scan vertical nmap -n -Pn -sS --max-rate 200 -p 1-1000 10.30.0.22
  event 20 100 nmap_udp scan vertical nmap -n -Pn -sU --max-rate 3 --max-retries 1 --top-ports 80 10.30.0.53
  event 28 30 hydra guessing "" hydra -I -l root -P passwords.txt -t 16 ssh://10.30.0.22
  event 36 30 nmap_fin scan vertical nmap -n -Pn -sF --max-rate 100 -p 1-200 10.30.0.60
  event 46 14 masscan scan horizontal masscan 10.30.0.1-10.30.0.200 -p22,80,443,3389,8080 --rate 200 --wait 1
  event 52 10 wrk benign "" wrk -t1 -c4 -d2s http://10.30.0.85/page.html
  event 58 30 nmap_connect scan vertical nmap -n -Pn -sT --max-rate 100 -p 1-250 10.30.0.81-82
  event 70 30 zmap scan horizontal zmap -p 80 -r 50 -c 2 -G "$ROUTER_MAC" -b empty.txt -o zmap.csv \
    10.30.0.128/25 10.30.1.0/25
  event 84 20 hping3 scan vertical hping3 -q -S -p ++1 -i u10000 -c 400 10.30.0.70
  event 96 20 syn_flood flood "" hping3 -q -S -p 80 -i u2500 -c 1500 10.30.0.80
  event 104 40 nmap_sweep scan horizontal nmap -n -sn -PE -PS443 -PA80 --max-rate 100 10.30.0.0/24
  event 114 30 ncrack guessing "" ncrack --user root -P passwords.txt -g CL=2,cd=1s 10.30.0.23:22
  event 124 22 masscan_block scan block masscan 10.30.0.101-10.30.0.160 \
    -p21-23,25,53,80,110,139,143,443,445,3306 --rate 120 --wait 1
}

# --- the recording ------------------------------------------------------------------------------------------

record() {  # SERVERS: the process ids of the jobs that do not end by themselves
  timeout --kill-after=2 $LIMIT nsenter --net="/run/netns/$PREFIX-router" \
    tcpdump -i lan0 -n -s $SNAP_LENGTH -B 8192 -Z root -w lab.pcap 2>tcpdump.out &
  local recorder=$!
  sleep 1
  say "recording for $DURATION s"
  SECONDS=0
  start_clients
  start_events
  local job
  for job in $(jobs -p); do
    [[ " $recorder $1 " == *" $job "* ]] || wait "$job" || true
  done
  sleep 1
  kill -TERM "$recorder"
  wait "$recorder" || true
  grep -q '^0 packets dropped by kernel' tcpdump.out || die "tcpdump lost packets: $(tail -n 1 tcpdump.out)"
}

write_tools() {
  local pair
  for pair in $TOOLS; do
    printf '%s\t%s\n' "${pair%%:*}" "$(dpkg-query --show --showformat='${Version}' "${pair##*:}" 2>/dev/null \
      || echo unknown)"
  done >tools.tsv
}

publish() {
  local bytes
  bytes=$(stat --format=%s lab.pcap)
  ((bytes <= MAX_CAPTURE_BYTES)) || die "lab.pcap has $bytes bytes, more than $MAX_CAPTURE_BYTES; send less"
  python3 "$HERE/lab_truth.py" lab.pcap events.tsv tools.tsv lab.truth.json
  chown --reference="$OUT" lab.pcap lab.truth.json
  mv lab.pcap lab.truth.json "$OUT/"
  say "wrote lab.pcap ($bytes bytes) and lab.truth.json"
}

[[ $# -eq 1 ]] || die "usage: record_lab.sh OUTDIR"
check_machine
mkdir -p "$1"
OUT=$(readlink -f "$1")
[[ ! $OUT =~ ^/(run|var/log)(/|$) ]] || die "$OUT is covered during the recording; choose another folder"
SELF=$(readlink -f "$0")
HERE=${SELF%/*}
enter_private_machine
trap clean_up EXIT
trap 'say "interrupted"; exit 130' INT TERM HUP
prepare_private_machine
build_network
start_servers
record "$(jobs -p | tr '\n' ' ')"
write_tools
publish
