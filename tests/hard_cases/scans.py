"""Scans that are told from honest traffic, or from their makers, with difficulty."""

from __future__ import annotations

from tests.hard_cases.scene import (
    ABORT,
    ACK,
    COOKIE_ACK,
    COOKIE_ECHO,
    DATA,
    FIN,
    HEARTBEAT,
    HEARTBEAT_ACK,
    INIT,
    INIT_ACK,
    PORT_UNREACHABLE,
    PROTOCOL_UNREACHABLE,
    PSH,
    RST,
    SACK,
    SYN,
    URG,
    Scene,
    Truth,
    host,
    office,
)

MINUTES = 60.0
VERTICAL, HORIZONTAL, BLOCK = frozenset({"vertical"}), frozenset({"horizontal"}), frozenset({"block"})


def probe(scene: Scene, time: float, source: str, sport: int, target: str, dport: int, open_: set[int]) -> None:
    """Send a SYN, answered as the port deserves; an open one is then reset."""
    scene.tcp(time, source, sport, target, dport, SYN)
    if dport in open_:
        scene.tcp(time + 0.002, target, dport, source, sport, SYN | ACK)
        scene.tcp(time + 0.003, source, sport, target, dport, RST)
    else:
        scene.tcp(time + 0.002, target, dport, source, sport, RST | ACK)


def decoys() -> Truth:
    """nmap -D with five decoys: six sources do the same, and nothing in their packets says which one is real."""
    scene = Scene(60)
    office(scene, 10 * MINUTES)
    sources = [host("198.51.100.0", number) for number in (7, 19, 33, 64, 102, 233)]
    ports = list(range(1, 401))
    scene.random.shuffle(ports)
    for number, port in enumerate(ports):
        for place, source in enumerate(sources):
            probe(scene, 100 + number * 0.2 + place * 0.001, source, 45678, "10.0.0.22", port, {22, 80})
    return Truth(scene, dict.fromkeys(sources, VERTICAL))


def idle_scan() -> Truth:
    """nmap -sI: the probes have the zombie's address. Who sends them only asks the zombie for its counter."""
    scene, scanner, zombie, target = Scene(61), "198.51.100.7", "10.0.0.200", "10.0.0.22"
    office(scene, 10 * MINUTES)
    for number, port in enumerate(range(1, 301)):
        time = 60 + number * 0.5
        scene.tcp(time, scanner, 40000 + number, zombie, 80, SYN | ACK)
        scene.tcp(time + 0.01, zombie, 80, scanner, 40000 + number, RST)
        scene.tcp(time + 0.1, zombie, 80, target, port, SYN)
        if port in {22, 80}:
            scene.tcp(time + 0.101, target, port, zombie, 80, SYN | ACK)
            scene.tcp(time + 0.102, zombie, 80, target, port, RST)
        else:
            scene.tcp(time + 0.101, target, port, zombie, 80, RST | ACK)
    return Truth(scene, {zombie: VERTICAL})


def ftp_bounce() -> Truth:
    """nmap -b: an FTP server is told to send to each port of the target. It is the one that is seen to scan."""
    scene, scanner, server, target = Scene(62), "198.51.100.7", "10.0.0.21", "10.0.0.22"
    office(scene, 10 * MINUTES)
    scene.talk(59, scanner, server, 21, seconds=300)
    for number, port in enumerate(range(1, 201)):
        probe(scene, 60 + number * 1.2, server, 20, target, port, {22, 80})
    return Truth(scene, {server: VERTICAL})


def random_order() -> Truth:
    """Hosts and ports in any order, as masscan and zmap do it: 2000 hosts, six ports, at 40 a second."""
    scene, sweeper, mapper = Scene(63), "198.51.100.40", "198.51.100.41"
    office(scene, 10 * MINUTES)
    pairs = [(number, port) for number in range(2000) for port in (21, 22, 23, 445, 3389, 8080)]
    scene.random.shuffle(pairs)
    for i, (number, port) in enumerate(pairs):
        target, time = host("10.90.0.0", number), 60 + i * 0.025
        if number % 10 == 0:
            probe(scene, time, sweeper, 61000, target, port, {22} if number % 20 == 0 else set())
        else:
            scene.tcp(time, sweeper, 61000, target, port, SYN)
    hosts = list(range(2000))
    scene.random.shuffle(hosts)
    for i, number in enumerate(hosts):
        scene.tcp(80 + i * 0.2, mapper, 40000 + i % 20000, host("10.90.0.0", number), 80, SYN)
    either = HORIZONTAL | BLOCK
    return Truth(scene, {sweeper: either, mapper: HORIZONTAL})


def source_ports() -> Truth:
    """Probes that come from port 53, 20, 80 or 443, or all from one, as answers do."""
    scene = Scene(64)
    office(scene, 10 * MINUTES)
    found = {}
    for number, sport in enumerate((20, 53, 80, 443)):
        scanner = host("198.51.100.0", 50 + number)
        for i, port in enumerate(range(1, 201)):
            probe(scene, 30 + number * 50 + i * 0.1, scanner, sport, "10.0.0.22", port, {22, 80})
        found[scanner] = VERTICAL
    for i, port in enumerate(range(100, 300)):  # UDP; closed ports say so, one a second at most
        scene.udp(300 + i * 0.4, "198.51.100.60", 53, "10.0.0.23", port)
        if i % 3 == 0:
            scene.udp_error(300.1 + i * 0.4, "10.0.0.23", PORT_UNREACHABLE, "198.51.100.60", 53, "10.0.0.23", port)
    found["198.51.100.60"] = VERTICAL
    for i, flags in enumerate((FIN, 0, FIN | PSH | URG)):
        scanner = host("198.51.100.0", 70 + i)
        for port in range(1, 101):
            scene.tcp(400 + i * 20 + port * 0.1, scanner, 80, "10.0.0.24", port, flags)
            if port not in {22, 80}:
                scene.tcp(400.01 + i * 20 + port * 0.1, "10.0.0.24", port, scanner, 80, RST | ACK)
        found[scanner] = VERTICAL
    return Truth(scene, found)


def udp_from_53_to_high_ports() -> Truth:
    """nmap -sU -g 53 at high ports: each packet looks like an answer; only the refusals say that it was none."""
    scene, scanner, target = Scene(65), "198.51.100.61", "10.0.0.23"
    office(scene, 10 * MINUTES)
    for i, port in enumerate(range(30000, 30200)):
        scene.udp(60 + i * 0.5, scanner, 53, target, port)
        if i % 2 == 0:
            scene.udp_error(60.01 + i * 0.5, target, PORT_UNREACHABLE, scanner, 53, target, port)
    return Truth(scene, {scanner: VERTICAL})


def empty_udp_from_53_to_high_ports() -> Truth:
    """The same as nmap and nping send it to ports of which they know nothing: without data, which no answer is."""
    scene, walker, sweeper, target = Scene(80), "198.51.100.61", "198.51.100.62", "10.0.0.23"
    office(scene, 10 * MINUTES)
    for i, port in enumerate(range(30000, 30200)):
        scene.udp(60 + i * 0.5, walker, 53, target, port, size=0)
        scene.udp(60 + i * 0.5, sweeper, 53, host("10.0.5.0", i), 30000, size=0)
        if i % 2 == 0:
            scene.udp_error(60.01 + i * 0.5, target, PORT_UNREACHABLE, walker, 53, target, port)
    return Truth(scene, {walker: VERTICAL, sweeper: HORIZONTAL})


def tiny_fragments() -> Truth:
    """nmap -f: eight bytes of each SYN, and its flags in a fragment of their own."""
    scene, scanner, target = Scene(69), "198.51.100.7", "10.0.0.22"
    office(scene, 10 * MINUTES)
    for number, port in enumerate(range(1, 61)):
        time = 120 + number * 0.5
        scene.tcp_in_pieces(time, scanner, 45678, target, port, SYN)
        if port in {22, 53}:
            scene.tcp(time + 0.002, target, port, scanner, 45678, SYN | ACK)
            scene.tcp(time + 0.003, scanner, 45678, target, port, RST)
        else:
            scene.tcp(time + 0.002, target, port, scanner, 45678, RST | ACK)
    return Truth(scene, {scanner: VERTICAL})


def grid_of_few() -> Truth:
    """Twenty services of eight servers: too few servers for a sweep, and on each too many answers."""
    scene, half_open, connecting = Scene(70), "198.51.100.7", "198.51.100.8"
    office(scene, 10 * MINUTES)
    ports = [21, 22, 23, 25, 53, 80, 110, 111, 135, 139, 143, 443, 445, 993, 995, 1723, 3306, 3389, 5900, 8080]
    for number, port in enumerate(ports):
        for server in range(1, 9):
            time, target = 120 + number * 0.4 + server * 0.01, host("10.0.0.0", server)
            probe(scene, time, half_open, 45678, target, port, {22, 25, 80, 443, 3306, 8080})
            if port in {22, 25, 80, 443, 3306, 8080}:
                scene.talk(time, connecting, target, port, seconds=0)
            else:
                scene.refused(time, connecting, target, port, rtt=0.002)
    return Truth(scene, {half_open: BLOCK, connecting: BLOCK})


def everything_answers() -> Truth:
    """SYN scans where all agree: of a firewall that answers for its hosts, and of servers that all run SSH."""
    scene, walker, sweeper = Scene(72), "198.51.100.7", "198.51.100.8"
    office(scene, 10 * MINUTES)
    for number in range(1, 121):
        probe(scene, 120 + number * 0.1, walker, 45678, "10.0.0.22", number, {number})
        probe(scene, 240 + number * 0.1, sweeper, 45679, host("10.0.3.0", number), 22, {22})
    return Truth(scene, {walker: VERTICAL, sweeper: HORIZONTAL})


def web_servers_that_all_answer() -> Truth:
    """SYN scans of web servers that all live, by tools that write their SYNs themselves; over IPv6 too."""
    scene = Scene(74)
    office(scene, 10 * MINUTES)
    found = {}
    for number, (scanner, network, port) in enumerate(
        (
            ("198.51.100.7", "10.0.3.0", 80),
            ("198.51.100.8", "10.0.3.0", 443),
            ("2001:db8:bad::1", "2001:db8:1::", 443),
        )
    ):
        for place in range(1, 121):
            time, target = 120 + number * 60 + place * 0.1, host(network, place)
            scene.tcp(time, scanner, 45678, target, port, SYN, bare=True)
            scene.tcp(time + 0.002, target, port, scanner, 45678, SYN | ACK)
            scene.tcp(time + 0.003, scanner, 45678, target, port, RST)
        found[scanner] = HORIZONTAL
    return Truth(scene, found)


def connections_that_all_succeed() -> Truth:
    """connect() scans where everything answers: of SSH on a /25, with its banner and without, of a proxy's ports.

    What tells them is that not a word is said, and that nobody comes again: that takes hours of traffic.
    """
    scene = Scene(75)
    office(scene, 150 * MINUTES, 3)
    sweeper, hearer, walker = "198.51.100.7", "198.51.100.8", "198.51.100.9"
    for number in range(1, 121):
        scene.empty(1000 + number * 0.05, sweeper, host("10.0.3.0", number), 22)
        scene.empty(4000 + number * 2, hearer, host("10.0.3.0", number), 22, wait=1.0, reset=False)
        scene.empty(7000 + number * 0.5, walker, "10.0.0.22", 1000 + number)
    return Truth(scene, {sweeper: HORIZONTAL, hearer: HORIZONTAL, walker: VERTICAL})


def sctp_scans() -> Truth:
    """nmap -sY over ports, of which some are open, and over a network; -sZ over ports; beside base stations."""
    scene = Scene(76)
    office(scene, 10 * MINUTES)
    base_stations(scene, 10 * MINUTES)
    walker, sweeper, echoer = "198.51.100.7", "198.51.100.8", "198.51.100.9"
    for number in range(1, 101):
        time, port = 60 + number * 0.2, 2900 + number
        for scanner, chunk in ((walker, INIT), (echoer, COOKIE_ECHO)):
            scene.sctp(time, scanner, 45678, "10.0.0.22", port, chunk)
            if port not in {2904, 2905, 2944}:
                scene.sctp(time + 0.002, "10.0.0.22", port, scanner, 45678, ABORT)
            elif chunk == INIT:
                scene.sctp(time + 0.002, "10.0.0.22", port, scanner, 45678, INIT_ACK)
                scene.sctp(time + 0.003, scanner, 45678, "10.0.0.22", port, ABORT)
        scene.sctp(200 + number * 0.2, sweeper, 45678, host("10.0.4.0", number), 36412, INIT)
    return Truth(scene, {walker: VERTICAL, echoer: VERTICAL, sweeper: HORIZONTAL})


def base_stations(scene: Scene, seconds: float) -> None:
    """Sixty base stations and the cores that they talk to over SCTP; one core restarts."""
    for number in range(1, 61):
        station, core = host("10.44.0.0", number), host("10.45.0.0", 1 + number % 4)
        for begin in (5.0 + number * 0.1, *([300.0 + number * 0.1] if number % 4 == 0 else [])):
            scene.sctp(begin, station, 36412, core, 36412, INIT)
            scene.sctp(begin + 0.01, core, 36412, station, 36412, INIT_ACK)
            scene.sctp(begin + 0.02, station, 36412, core, 36412, COOKIE_ECHO)
            scene.sctp(begin + 0.03, core, 36412, station, 36412, COOKIE_ACK)
        for time in scene.moments(10, seconds - 60, 10):
            first, second = (station, core) if scene.random.random() < 0.5 else (core, station)
            asks, says = scene.random.choice(((DATA, SACK), (HEARTBEAT, HEARTBEAT_ACK)))
            scene.sctp(time, first, 36412, second, 36412, asks)
            scene.sctp(time + 0.01, second, 36412, first, 36412, says)


def protocol_scan() -> Truth:
    """nmap -sO: packets that hold nothing, one for each protocol over IP; beside tunnels, routers and a cluster."""
    scene, scanner, target = Scene(77), "198.51.100.7", "10.0.0.22"
    office(scene, 10 * MINUTES)
    for number in range(256):
        if number in {1, 6, 17, 132}:  # these are asked as ever
            continue
        time = 60 + number * 0.8
        scene.ip(time, scanner, target, number, b"")
        if number % 3 == 0:
            scene.error(time + 0.002, target, PROTOCOL_UNREACHABLE, scanner, target, b"", number)
    for time in scene.moments(600, 10 * MINUTES):
        gateway, peer = "203.0.113.1", host("198.18.0.0", scene.random.randrange(400))
        scene.ip(time, gateway, peer, scene.random.choice((50, 51, 89, 103, 112, 115)), bytes(60))
        scene.ip(time + 0.1, "10.0.0.1", "224.0.0.18", 112, bytes(20))
    return Truth(scene, {scanner: VERTICAL})


def guesses_all_over_the_internet() -> Truth:
    """A worm that tries random addresses, of which a few answer; another one in a network of which half does."""
    scene, far, near = Scene(83), "10.20.0.66", "10.20.0.67"
    office(scene, 10 * MINUTES)
    for number in range(400):
        target, time = host("20.0.0.0", scene.random.randrange(3 << 26)), 60 + number
        if number % 25 == 0:
            scene.talk(time, far, target, 445)
        else:
            scene.unanswered(time, far, target, 445, retries=1)
        target = host("10.21.0.0", number)
        if number % 5 < 2:
            scene.talk(time, near, target, 445)
        else:
            scene.unanswered(time, near, target, 445, retries=0)
    return Truth(scene, {far: HORIZONTAL, near: HORIZONTAL})


def ipv6_sweeps() -> Truth:
    """Low numbers and words in an IPv6 network, by TCP and by echo, beside honest IPv6 and its discovery."""
    scene = Scene(66)
    office(scene, 10 * MINUTES)
    guesses = [*range(1, 200), 0xCAFE, 0xBEEF, 0xDEAD, 0xFACE, 0x53, 0x80, 0x443]
    for i, number in enumerate(guesses):
        target = host("2001:db8:1::", number)
        lives = number in {1, 2, 0x53, 0x80}
        scene.ping(30 + i * 0.3, "2001:db8:bad::1", target, answered=lives)
        if lives:
            scene.refused(200 + i * 0.3, "2001:db8:bad::2", target, 443)
        else:
            scene.unanswered(200 + i * 0.3, "2001:db8:bad::2", target, 443, retries=1)
    for number in range(1, 20):
        client = host("2001:db8:2::", number)
        for time in scene.moments(4, 10 * MINUTES):
            scene.talk(time, client, host("2001:db8:3::", scene.random.randrange(1, 60)), 443)
            solicitation = bytes([135, 0, 0, 0, 0, 0, 0, 0]) + bytes(16)
            scene.ip(time, client, "ff02::1:ff00:1", 58, solicitation, hops=255)
    return Truth(scene, {"2001:db8:bad::1": HORIZONTAL, "2001:db8:bad::2": HORIZONTAL})


def arp_sweep() -> Truth:
    """arp-scan over a /24 of which a fifth lives, beside hosts and a router that ask for whom they need."""
    scene, scanner, router = Scene(67), "10.20.0.66", "10.20.0.1"
    office(scene, 20 * MINUTES)
    for number in range(2, 255):
        for retry in range(1 if number % 5 == 0 else 2):
            scene.arp(60 + number * 0.05 + retry * 14, scanner, host("10.20.0.0", number), answered=number % 5 == 0)
    for number in range(1, 51):
        for time in scene.moments(1, 20 * MINUTES):
            scene.arp(time, host("10.20.0.0", number), router)
    for time in scene.moments(40, 20 * MINUTES):
        number = scene.random.randrange(2, 60)
        scene.arp(time, router, host("10.20.0.0", number), answered=number < 55)
    return Truth(scene, {scanner: HORIZONTAL})
