"""What networks and attacks other than scans leave behind."""

from __future__ import annotations

from tests.hard_cases.scene import (
    ACK,
    HOST_UNREACHABLE,
    PORT_UNREACHABLE,
    RST,
    SYN,
    TIME_EXCEEDED,
    Scene,
    Truth,
    host,
    office,
)

MINUTES = 60.0


def traceroute() -> Truth:
    """Six paths by UDP as Van Jacobson did it, one over and over by ICMP as mtr does, one by TCP."""
    scene, me = Scene(40), "10.20.0.9"
    office(scene, 20 * MINUTES)
    for number in range(6):
        _trace(scene, number * 120, me, number, tells=number % 2 == 0)
    for turn in range(600):
        for hop in range(1, 12):
            scene.echo(700 + turn * 0.8 + hop * 0.05, me, "198.51.100.99", hops=hop)
        scene.echo(700 + turn * 0.8 + 0.57, "198.51.100.99", me, reply=True)
    for hop in range(1, 20):
        scene.tcp(1150 + hop, me, 40000 + hop, "198.51.100.98", 443, SYN)
    scene.tcp(1170.1, "198.51.100.98", 443, me, 40019, SYN | ACK)
    return Truth(scene)


def _trace(scene: Scene, begin: float, me: str, number: int, *, tells: bool) -> None:
    """Send three datagrams for each hop; the target, 14 hops away, tells that it is one, or drops them."""
    target, port, sport = host("198.51.100.0", 10 + number), 33434, scene.port(me)
    for hop in range(1, 15 if tells else 31):
        for probe in range(3):
            time = begin + hop * 0.9 + probe * 0.3
            scene.udp(time, me, sport, target, port, hops=hop)
            if hop < 14:
                router = host("10.99.0.0", 16 * number + hop)
                scene.udp_error(time + 0.02, router, TIME_EXCEEDED, me, sport, target, port)
            elif tells:
                scene.udp_error(time + 0.02, target, PORT_UNREACHABLE, me, sport, target, port)
            port += 1


def backscatter() -> Truth:
    """Victims of forged floods answer our dark addresses: SYN-ACK, RST, datagrams, ICMP errors."""
    scene = Scene(41)
    office(scene, 20 * MINUTES, 4)
    for number in range(12):
        victim = host("198.51.100.0", number + 1)
        for time in scene.moments(120, 20 * MINUTES):
            dark, port = host("10.70.0.0", scene.random.randrange(1 << 14)), scene.random.randrange(1024, 65535)
            if number < 5:
                for retry in range(3):
                    scene.tcp(time + 2**retry - 1, victim, 443, dark, port, SYN | ACK)
            elif number < 8:
                scene.tcp(time, victim, scene.random.choice((80, 443)), dark, port, RST | ACK)
            elif number < 9:
                scene.tcp(time, victim, 80, dark, port, ACK)
            elif number < 11:
                scene.udp(time, victim, 53, dark, port)
            else:
                kind = scene.random.choice((PORT_UNREACHABLE, HOST_UNREACHABLE, TIME_EXCEEDED))
                scene.udp_error(time, victim, kind, dark, port, victim, 80)
    return Truth(scene)


def syn_flood() -> Truth:
    """Forty thousand forged sources, one server; it answers some of them, and ARP is asked for none."""
    scene, server = Scene(42), "10.0.0.80"
    office(scene, 10 * MINUTES, 4)
    for i in range(40_000):
        time = 120 + i * 0.006
        source, sport = host("20.0.0.0", scene.random.randrange(3 << 26)), scene.random.randrange(1024, 65535)
        scene.tcp(time, source, sport, server, 80, SYN)
        if i % 4 == 0:
            scene.tcp(time + 0.001, server, 80, source, sport, SYN | ACK)
    return Truth(scene)


def syn_flood_of_ports() -> Truth:
    """The same to all ports of the server: no source comes twice."""
    scene, server = Scene(43), "10.0.0.80"
    office(scene, 10 * MINUTES, 4)
    for i in range(30_000):
        source = host("20.0.0.0", scene.random.randrange(3 << 26))
        scene.tcp(120 + i * 0.008, source, 4000, server, scene.random.randrange(1, 65535), SYN)
    return Truth(scene)


def reflection() -> Truth:
    """We are hit: 3000 resolvers, NTP and memcached servers and devices send answers that nobody asked for."""
    scene, victim = Scene(44), "10.0.0.99"
    office(scene, 10 * MINUTES, 4)
    reflectors = [
        (host("198.18.0.0", scene.random.randrange(1 << 17)), scene.random.choice((53, 123, 389, 1900, 11211, 19)))
        for _ in range(3000)
    ]
    for i in range(30_000):
        reflector, port = reflectors[scene.random.randrange(len(reflectors))]
        scene.udp(100 + i * 0.01, reflector, port, victim, scene.random.choice((80, 443, 30000 + i % 2000)))
        if i % 50 == 0:
            scene.udp_error(100 + i * 0.01 + 0.001, victim, PORT_UNREACHABLE, reflector, port, victim, 80)
    return Truth(scene)


def reflection_from_us() -> Truth:
    """We are used: questions with the victim's address to our 30 open servers, hundreds of times each."""
    scene, victim = Scene(45), "198.51.100.66"
    office(scene, 10 * MINUTES, 4)
    for i in range(12_000):
        server = host("10.80.0.0", 1 + i % 30)
        sport = scene.random.choice((80, 443, 30000 + i % 500))
        scene.udp(100 + i * 0.02, victim, sport, server, 53)
        if i % 30 != 29:  # one of them is down by now
            scene.udp(100 + i * 0.02 + 0.002, server, 53, victim, sport)
    return Truth(scene)


def guessing() -> Truth:
    """Passwords are guessed at one server, and sprayed over a dozen: very many connections, all answered."""
    scene = Scene(46)
    office(scene, 20 * MINUTES)
    for i in range(2400):
        scene.talk(i * 0.5, "198.51.100.13", "10.0.0.22", 22, seconds=0.3)
    for i in range(1800):
        scene.talk(i * 0.6, "198.51.100.14", host("10.81.0.0", 1 + i % 12), 3389, seconds=0.2)
    return Truth(scene)


def router_of_a_scan() -> Truth:
    """Somebody outside sweeps our network: the router asks for each host, mostly in vain, and does not scan."""
    scene, scanner, router = Scene(47), "198.51.100.200", "10.82.0.1"
    office(scene, 10 * MINUTES)
    for number in range(2, 1000):
        time, target = 60 + number * 0.25, host("10.82.0.0", number)
        lives = number % 20 == 0
        for retry in range(1 if lives else 3):
            scene.arp(time + retry, router, target, answered=lives)
        if lives:
            scene.refused(time + 0.001, scanner, target, 23, rtt=0.001)
        else:
            scene.tcp(time + 0.001, scanner, 44000, target, 23, SYN)
    return Truth(scene, {scanner: frozenset({"horizontal"})})
