"""Honest hosts that begin conversations with many others."""

from __future__ import annotations

from tests.hard_cases.scene import ACK, PORT_UNREACHABLE, RST, SYN, Scene, Truth, host, office

MINUTES = 60.0


def resolver() -> Truth:
    """A recursive resolver: thousands of name servers, 4 % of them dead or lame, long answers over TCP."""
    scene, me = Scene(1), "10.0.0.53"
    servers = [host("198.18.0.0", scene.random.randrange(1 << 16)) for _ in range(1500)]
    dead = set(servers[::25])
    for time in scene.moments(150, 20 * MINUTES):
        client = host("10.20.0.0", scene.random.randrange(1, 120))
        scene.ask(time, client, me, 53, rtt=0.08)
        server = scene.random.choice(servers)
        if server in dead:
            scene.ask_in_vain(time + 0.01, me, server, 53, gaps=(0, 0.8, 2.4))
        else:
            scene.ask(time + 0.01, me, server, 53, rtt=0.04)
            if scene.random.random() < 0.01:
                scene.talk(time + 0.06, me, server, 53, seconds=0.1)
    return Truth(scene)


def mail_server() -> Truth:
    """Delivers to hundreds of domains: an eighth of their servers is gone or refuses, and is tried again."""
    scene, me = Scene(2), "10.0.0.25"
    office(scene, 30 * MINUTES, 4)
    servers = [host("198.18.0.0", scene.random.randrange(1 << 16)) for _ in range(300)]
    for time in scene.moments(20, 30 * MINUTES):
        scene.ask(time, me, "10.20.0.253", 53)
        number = scene.random.randrange(len(servers))
        if number % 16 == 0:
            scene.unanswered(time + 0.05, me, servers[number], 25, retries=4)
        elif number % 16 == 1:
            scene.refused(time + 0.05, me, servers[number], 25)
        else:
            scene.talk(time + 0.05, me, servers[number], 25, seconds=scene.random.expovariate(0.5))
    for time in scene.moments(15, 30 * MINUTES):
        scene.talk(time, scene.random.choice(servers), me, 25, seconds=1.0)
    return Truth(scene)


def p2p() -> Truth:
    """A BitTorrent client: a DHT of which four nodes in ten are gone, and peers over TCP and uTP of which half are.

    Ports are as users leave them: 6881 at 12 %, a few other defaults, the rest anything.
    """
    scene, me = Scene(3), "10.20.0.77"
    office(scene, 30 * MINUTES, 4)
    defaults = (6881,) * 12 + (51413,) * 6 + (8999,) * 2 + (16881,) * 2

    def port() -> int:
        at = scene.random.randrange(100)
        return defaults[at] if at < len(defaults) else scene.random.randrange(10000, 65000)

    for time in scene.moments(90, 30 * MINUTES):
        node, at = host("198.18.0.0", scene.random.randrange(1 << 17)), port()
        if scene.random.random() < 0.4:
            scene.udp(time, me, 51413, node, at)
        else:
            scene.ask(time, me, node, at, sport=51413, rtt=0.1)
    for time in scene.moments(25, 30 * MINUTES):
        peer, at = host("198.18.0.0", scene.random.randrange(1 << 17)), port()
        if scene.random.random() < 0.4:
            scene.unanswered(time, me, peer, at, retries=1)
        elif scene.random.random() < 0.2:
            scene.refused(time, me, peer, at)
        else:
            scene.talk(time, me, peer, at, seconds=5.0)
    for time in scene.moments(40, 30 * MINUTES):  # and peers that look for it
        peer = host("198.18.0.0", scene.random.randrange(1 << 17))
        scene.ask(time, peer, me, 51413, sport=port())
    return Truth(scene)


def coins() -> Truth:
    """A node of a currency, whose peers all use one port: two thirds of the addresses that it was told are gone."""
    scene, me = Scene(82), "10.20.0.78"
    office(scene, 60 * MINUTES, 4)

    def peer(time: float, seconds: float) -> None:
        target = host("20.0.0.0", scene.random.randrange(3 << 26))
        if scene.random.random() < 0.65:
            scene.unanswered(time, me, target, 8333, retries=2)
        else:
            scene.talk(time, me, target, 8333, seconds=seconds)

    for number in range(30):  # until it has eight
        peer(60 + number * 5, 1500)
    for time in scene.moments(0.7, 60 * MINUTES):  # and one more now and then, to see who is still there
        peer(time, 3)
    return Truth(scene)


def browser() -> Truth:
    """Sixty connections at once whenever a page with much advertising is opened; three in a hundred fail."""
    scene, me = Scene(4), "10.20.0.60"
    office(scene, 20 * MINUTES)
    sites = [host("198.18.0.0", scene.random.randrange(1 << 16)) for _ in range(300)]
    for page in scene.moments(3, 20 * MINUTES):
        for _ in range(60):
            time, site = page + scene.random.expovariate(1.0), scene.random.choice(sites)
            if scene.random.random() < 0.03:
                scene.unanswered(time, me, site, 443)
            elif scene.random.random() < 0.3:
                scene.ask(time, me, site, 443)  # QUIC
            else:
                scene.talk(time, me, site, 443, seconds=scene.random.expovariate(0.1))
    return Truth(scene)


def browser_without_quic() -> Truth:
    """The same behind a firewall that drops UDP: QUIC is tried first with each site, TCP is answered."""
    scene, me = Scene(5), "10.20.0.60"
    office(scene, 20 * MINUTES)
    sites = [host("198.18.0.0", scene.random.randrange(1 << 16)) for _ in range(300)]
    for page in scene.moments(2, 20 * MINUTES):
        for _ in range(40):
            time, site = page + scene.random.expovariate(1.0), scene.random.choice(sites)
            if scene.random.random() < 0.6:
                scene.ask_in_vain(time, me, site, 443, gaps=(0, 0.3, 0.9))
            scene.talk(time + 0.3, me, site, 443, seconds=scene.random.expovariate(0.1))
    return Truth(scene)


def nat_gateway() -> Truth:
    """Sixty people and their devices behind one address."""
    scene, me = Scene(6), "203.0.113.1"
    sites = [host("198.18.0.0", scene.random.randrange(1 << 16)) for _ in range(2000)]
    for time in scene.moments(400, 20 * MINUTES):
        site = sites[min(int(scene.random.paretovariate(0.5)), len(sites) - 1)]
        port = scene.random.choice((443, 443, 443, 443, 443, 443, 80, 993, 5228, 22))
        chance = scene.random.random()
        if chance < 0.02:
            scene.unanswered(time, me, site, port)
        elif chance < 0.03:
            scene.refused(time, me, site, port)
        else:
            scene.talk(time, me, site, port, seconds=scene.random.expovariate(0.05))
    for time in scene.moments(200, 20 * MINUTES):
        scene.ask(time, me, scene.random.choice(("198.51.100.1", "198.51.100.2")), 53)
    for time in scene.moments(4, 20 * MINUTES):  # calls: the other side may be here or there, and one way is open
        ports, peer = [scene.random.randrange(16384, 65000) for _ in range(3)], scene.random.randrange(60000)
        ways = [host("192.168.1.0", 2 + peer % 250), host("10.0.0.0", peer), host("198.19.0.0", peer)]
        for way, port in zip(ways[:2], ports, strict=False):
            scene.ask_in_vain(time, me, way, port, gaps=(0, 0.1, 0.3, 0.7, 1.5))
        scene.ask(time, me, ways[2], ports[2])
    return Truth(scene)


def ntp_pool() -> Truth:
    """A server of the pool, with thousands of clients; some are gone when it answers, and their routers say so."""
    scene, me = Scene(7), "10.0.0.123"
    office(scene, 30 * MINUTES, 4)
    for time in scene.moments(300, 30 * MINUTES):
        client = host("198.18.0.0", scene.random.randrange(1 << 14))
        sport = 123 if scene.random.random() < 0.3 else 0
        scene.ask(time, client, me, 123, sport=sport)
        if scene.random.random() < 0.03:
            scene.udp_error(time + 0.1, client, PORT_UNREACHABLE, me, 123, client, sport or 40000)
    for time in scene.moments(4, 30 * MINUTES):  # its own upstreams, one of them dead
        upstream = host("198.51.100.0", scene.random.randrange(1, 8))
        if upstream.endswith(".7"):
            scene.udp(time, me, 123, upstream, 123)
        else:
            scene.ask(time, me, upstream, 123, sport=123)
    return Truth(scene)


def two_families() -> Truth:
    """A browser where IPv6 is slow: it opens to both families, and hangs up on the one that comes second."""
    scene, me = Scene(73), "10.20.0.120"
    office(scene, 10 * MINUTES)
    for number in range(1, 161):
        site = host("198.18.7.0", number)
        sport = scene.port(me)
        scene.tcp(60 + number, me, sport, site, 443, SYN)
        scene.tcp(60.3 + number, site, 443, me, sport, SYN | ACK)
        scene.tcp(60.301 + number, me, sport, site, 443, RST)
    return Truth(scene)


def broken_ipv6() -> Truth:
    """Browsers whose way over IPv6 is broken: each site is tried there first, and at once over IPv4 instead."""
    scene = Scene(81)
    office(scene, 30 * MINUTES, 3)
    sites = [scene.random.randrange(1 << 30) for _ in range(300)]
    for number in range(1, 4):
        for time in scene.moments(20, 30 * MINUTES):
            site = scene.random.choice(sites)
            port = 443 if scene.random.random() < 0.9 else 80
            scene.unanswered(time, host("2001:db8:2::", number), host("2001:db8:3::", site), port, retries=0)
            scene.talk(time + 0.25, host("10.20.0.0", number), host("198.18.0.0", site % 30000), port)
    return Truth(scene)


def unused_connections() -> Truth:
    """A browser opens connections ahead that it then does not need; a messenger tries forty gateways."""
    scene, me = Scene(78), "10.20.0.121"
    office(scene, 150 * MINUTES, 3)
    for number in range(1, 401):
        scene.empty(60 + number * 20, me, host("198.18.8.0", number), 443 if number % 4 else 80, reset=False)
    for number in range(1, 41):
        scene.empty(100 + number, me, host("198.18.9.0", number), 5222, reset=False)
    return Truth(scene)


def bubbles() -> Truth:
    """IPv6 behind IPv4 routers: packets that hold nothing keep the way open to two hundred peers."""
    scene, me = Scene(79), "2001:db8:2::77"
    office(scene, 10 * MINUTES)
    for number in range(1, 201):
        scene.ip(60 + number * 0.5, me, host("2001:db8:3::", number), 59, b"")
    return Truth(scene)


def lost_directory() -> Truth:
    """Laptops out of reach of their directory: each asks all six of its servers for all that it needs of them."""
    scene = Scene(71)
    office(scene, 30 * MINUTES)
    for number in range(1, 5):
        laptop = host("10.20.0.0", 100 + number)
        for server in range(1, 7):
            for place, port in enumerate((88, 135, 389, 445, 636, 3268)):
                time = 100 * number + server * 21 + place * 3
                scene.unanswered(time, laptop, host("10.9.0.0", server), port, retries=2)
            for again in range(3):
                scene.ask_in_vain(100 * number + server * 21 + 400 * again, laptop, host("10.9.0.0", server), 389)
            scene.ask_in_vain(100 * number + server * 21, laptop, host("10.9.0.0", server), 53)
    return Truth(scene)
