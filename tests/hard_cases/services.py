"""Honest hosts whose duty is to reach many others, or whom many others reach."""

from __future__ import annotations

from tests.hard_cases.scene import ACK, FIN, PSH, RST, SYN, Scene, Truth, host, office

MINUTES = 60.0


def monitoring() -> Truth:
    """Every minute each of 100 hosts: three pings and its service, on three hosts down for now in vain."""
    scene, me = Scene(20), "10.0.0.10"
    office(scene, 30 * MINUTES, 4)
    hosts = [host("10.30.0.0", number) for number in range(1, 101)]
    services = (22, 80, 443, 3306, 5432, 25)
    for minute in range(30):
        for number, target in enumerate(hosts):
            time, down = minute * 60 + number * 0.55, number % 50 == 7
            scene.ping(time, me, target, answered=not down, count=3)
            port = services[number % len(services)]
            if down:
                scene.unanswered(time + 3, me, target, port, retries=2)
            else:
                scene.talk(time + 3, me, target, port, seconds=0.05, rtt=0.001)
            if number % 3 == 0 and not down:
                scene.ask(time + 4, me, target, 161)
    return Truth(scene)


def monitoring_with_single_pings() -> Truth:
    """One ping to each host every minute: only that it comes again and again tells it from a sweep."""
    scene, me = Scene(21), "10.0.0.10"
    office(scene, 30 * MINUTES, 4)
    for minute in range(30):
        for number in range(1, 101):
            scene.ping(minute * 60 + number * 0.5, me, host("10.30.0.0", number), answered=number % 40 != 7)
    return Truth(scene)


def monitoring_that_only_connects() -> Truth:
    """A monitor opens SSH of 120 hosts and says nothing: every five minutes; another one does each half hour."""
    scene, often, seldom = Scene(28), "10.0.0.10", "10.0.0.11"
    office(scene, 150 * MINUTES, 3)
    for number in range(1, 121):
        for turn in range(30):
            scene.empty(turn * 300 + number * 0.5, often, host("10.30.0.0", number), 22)
        for turn in range(5):
            scene.empty(
                600 + turn * 1800 + number * 2, seldom, host("10.30.0.0", number), 22, wait=1.0, reset=False
            )
    return Truth(scene)


def configuration() -> Truth:
    """Configuration by SSH of 120 hosts, once; mail to 200 servers, of which many close first; a backup."""
    scene = Scene(29)
    office(scene, 150 * MINUTES, 3)
    for number in range(1, 121):
        scene.talk(1000 + number * 3, "10.0.0.20", host("10.30.0.0", number), 22, seconds=4.0)
        scene.talk(6000 + number * 20, "10.0.0.21", host("10.30.0.0", number), 10050, seconds=100.0)
    for number in range(200):
        _shown_out(scene, 2000 + number * 20, "10.0.0.25", host("198.18.3.0", number), 25)
    return Truth(scene)


def _shown_out(scene: Scene, time: float, client: str, server: str, port: int) -> None:
    """A server that lists the client as unwanted says so, and closes."""
    sport = scene.port(client)
    scene.tcp(time, client, sport, server, port, SYN)
    scene.tcp(time + 0.03, server, port, client, sport, SYN | ACK)
    scene.tcp(time + 0.031, client, sport, server, port, ACK)
    scene.tcp(time + 0.1, server, port, client, sport, PSH | ACK, data=True)
    scene.tcp(time + 0.101, server, port, client, sport, FIN | ACK)
    scene.tcp(time + 0.131, client, sport, server, port, FIN | ACK)
    scene.tcp(time + 0.16, server, port, client, sport, ACK)


def calls_seen_from_one_side() -> Truth:
    """Voice from a switchboard to a gateway and to phones, each call on a port of its own; nothing comes back."""
    scene, me = Scene(30), "10.0.0.60"
    office(scene, 30 * MINUTES, 3)
    for call, time in enumerate(scene.moments(12, 25 * MINUTES)):
        target = "198.51.100.60" if call % 2 else host("10.22.0.0", 1 + call % 5)
        ports = scene.random.randrange(5000, 9000) * 2, scene.random.randrange(8192, 16000) * 2
        for packet in range(20 + scene.random.randrange(200)):
            scene.udp(time + packet * 0.02, me, ports[0], target, ports[1])
    return Truth(scene)


def health_checks() -> Truth:
    """A load balancer looks at 24 back ends on two ports every 5 s; they are restarted six at a time."""
    scene, me = Scene(22), "10.0.0.5"
    office(scene, 20 * MINUTES, 4)
    for check in range(240):
        for number in range(24):
            time, target = check * 5 + number * 0.02, host("10.31.0.0", number + 1)
            restarts = 60 + 45 * (number // 6) <= check - 60 < 60 + 45 * (number // 6) + 9
            for port in (8080, 8443):
                if restarts:
                    scene.refused(time, me, target, port, rtt=0.001)
                elif number == 23:  # one is broken, and keeps silent
                    scene.tcp(time, me, scene.port(me), target, port, SYN)
                else:  # half open: answered, then reset
                    sport = scene.port(me)
                    scene.tcp(time, me, sport, target, port, SYN)
                    scene.tcp(time + 0.001, target, port, me, sport, SYN | ACK)
                    scene.tcp(time + 0.002, me, sport, target, port, RST)
    return Truth(scene)


def cdn() -> Truth:
    """Edges of a content network: thousands of clients, talks that outlive our memory, calls to the origin."""
    scene = Scene(23)
    edges = [host("203.0.113.0", number) for number in range(1, 5)]
    for time in scene.moments(250, 20 * MINUTES):
        client, edge = host("198.18.0.0", scene.random.randrange(1 << 16)), scene.random.choice(edges)
        if scene.random.random() < 0.4:
            sport = scene.port(client)
            scene.ask(time, client, edge, 443, sport=sport)  # QUIC
            if scene.random.random() < 0.3:  # kept alive after a long silence, by the edge
                scene.udp(time + 640, edge, 443, client, sport)
        else:
            scene.talk(time, client, edge, 443, seconds=scene.random.expovariate(0.1))
    for time in scene.moments(30, 20 * MINUTES):
        scene.talk(time, scene.random.choice(edges), host("10.50.0.0", scene.random.randrange(1, 30)), 8443)
    for time in scene.moments(60, 20 * MINUTES):  # clients that went away without a word are told off
        client = host("198.18.0.0", scene.random.randrange(1 << 16))
        edge = scene.random.choice(edges)
        scene.tcp(time, edge, 443, client, 40000 + scene.random.randrange(9000), RST | ACK)
    return Truth(scene)


def restart() -> Truth:
    """A broker is down for 40 s; 500 clients come back at once, again and again until it accepts them."""
    scene, broker = Scene(24), "10.0.0.80"
    office(scene, 10 * MINUTES, 4)
    for number in range(500):
        client = host("10.40.0.0", number + 1)
        time = 120 + scene.random.random()
        wait = 1.0
        while time < 160:
            scene.refused(time, client, broker, 8883)
            time += wait * (0.5 + scene.random.random())
            wait = min(wait * 2, 16.0)
        scene.talk(time, client, broker, 8883, seconds=200)
        scene.ask(time, client, "10.20.0.253", 53)
    # The broker itself looks for its 40 peers when it is back; three are down.
    for number in range(1, 41):
        peer = host("10.41.0.0", number)
        if number % 13 == 0:
            for again in range(4):
                scene.refused(161 + number * 0.01 + again * 5, broker, peer, 7000)
        else:
            scene.talk(161 + number * 0.01, broker, peer, 7000, seconds=100)
    return Truth(scene)


def dhcp_storm() -> Truth:
    """After a power cut 400 hosts ask for addresses through a relay, look whether they are free, announce them."""
    scene, relay, server = Scene(25), "10.60.0.1", "10.0.0.67"
    for number in range(400):
        client = host("10.60.0.0", 10 + number)
        time = scene.random.expovariate(1 / 40)
        for step in range(2):  # discover and request
            scene.udp(time + step * 0.2, "0.0.0.0", 68, "255.255.255.255", 67)
            scene.udp(time + step * 0.2 + 0.001, relay, 67, server, 67)
            scene.udp(time + step * 0.2 + 0.01, server, 67, relay, 67)
            scene.udp(time + step * 0.2 + 0.011, relay, 67, client, 68)
        for probe in range(3):  # RFC 5227
            scene.arp(time + 0.5 + probe, "0.0.0.0", client, answered=False)
        for again in range(2):
            scene.arp(time + 4 + 2 * again, client, client, answered=False)
        scene.arp(time + 5, client, relay)
        scene.ask(time + 5.1, client, "10.20.0.253", 53)
        scene.talk(time + 5.2, client, host("198.18.0.0", scene.random.randrange(50)), 443)
    for number in range(1, 400):  # half a day's leases are renewed directly
        if number % 4 == 0:
            scene.ask(300 + number * 0.7, host("10.61.0.0", number), server, 67, sport=68)
    return Truth(scene)


def discovery() -> Truth:
    """mDNS and SSDP: questions to groups, answers from each device, from port 1900 or from any."""
    scene = Scene(26)
    office(scene, 60 * MINUTES, 4)
    clients = [host("10.20.0.0", number) for number in range(1, 21)]
    devices = [host("10.20.1.0", number) for number in range(1, 31)]
    for client in clients:
        for time in scene.moments(0.5, 60 * MINUTES):
            sport = scene.port(client)  # a new one for each question
            for again in range(2):
                scene.udp(time + again, client, sport, "239.255.255.250", 1900, hops=4)
            for number, device in enumerate(devices):
                # Some devices answer from a port of their own, the same for as long as they are up.
                from_port = 1900 if number % 3 else 49152 + number
                scene.udp(time + 0.2 + 0.02 * number, device, from_port, client, sport)
    for host_ in clients + devices:
        for time in scene.moments(2, 60 * MINUTES):
            scene.udp(time, host_, 5353, "224.0.0.251", 5353, hops=255)
            if scene.random.random() < 0.3:  # asked for an answer to itself alone
                scene.udp(time + 0.05, scene.random.choice(devices), 5353, host_, 5353, hops=255)
    return Truth(scene)


def one_sided() -> Truth:
    """Half of the traffic takes another way: only what servers send to their thousands of clients is seen."""
    scene = Scene(27)
    office(scene, 20 * MINUTES, 4)
    web, names, game, mail = "203.0.113.80", "203.0.113.53", "203.0.113.27", "203.0.113.25"
    for time in scene.moments(600, 20 * MINUTES):
        client, port = host("198.18.0.0", scene.random.randrange(1 << 14)), scene.random.randrange(1025, 65535)
        kind = scene.random.randrange(4)
        if kind < 2:
            server, sport = (web, 443) if kind else (mail, 25)
            scene.tcp(time, server, sport, client, port, SYN | ACK)
            for i in range(4):
                scene.tcp(time + 0.1 + i * 0.1, server, sport, client, port, PSH | ACK, data=True)
            scene.tcp(time + 1, server, sport, client, port, 1 | ACK)
        elif kind == 2:
            scene.udp(time, names, 53, client, port)
        else:
            for i in range(3):
                scene.udp(time + i, game, 27015, client, port)
    return Truth(scene)
