"""What services are called: a table of our own, for what the system knows differs from machine to machine.

Ports are those of IANA's registry of service names, but for those in brackets after a name, which are customary.
"""

from __future__ import annotations

# telnet (2323, 23231, 26), ssh (2222, 22222), http (81, 82, 8000, 8081, 8888), adb (5555), rdp (3390): customary.
_PORTS = {
    "FTP": "tcp/20 tcp/21",
    "ssh": "tcp/22 tcp/2222 tcp/22222",
    "telnet": "tcp/23 tcp/26 tcp/2323 tcp/23231",
    "mail": "tcp/25 tcp/465 tcp/587 tcp/110 tcp/995 tcp/143 tcp/993",
    "DNS": "udp/53 tcp/53 tcp/853 udp/5353",
    "DHCP": "udp/67 udp/68",
    "TFTP": "udp/69",
    "web": "tcp/80 tcp/81 tcp/82 tcp/443 tcp/8000 tcp/8008 tcp/8080 tcp/8081 tcp/8443 tcp/8888 udp/443",
    "web proxy": "tcp/3128 tcp/1080",
    "RPC": "tcp/111 udp/111",
    "NTP": "udp/123",
    "Windows RPC": "tcp/135 udp/135",
    "NetBIOS": "udp/137 udp/138 tcp/137",
    "SMB": "tcp/139 tcp/445",
    "SNMP": "udp/161 udp/162",
    "LDAP": "tcp/389 udp/389 tcp/636",
    "Modbus": "tcp/502",
    "syslog": "udp/514",
    "SQL Server": "tcp/1433 udp/1434",
    "Oracle": "tcp/1521",
    "MQTT": "tcp/1883 tcp/8883",
    "UPnP": "udp/1900",
    "NFS": "tcp/2049 udp/2049",
    "Docker": "tcp/2375 tcp/2376",
    "MySQL": "tcp/3306",
    "RDP": "tcp/3389 tcp/3390 udp/3389",
    "radmin": "tcp/4899",
    "SIP": "udp/5060 tcp/5060 tcp/5061",
    "PostgreSQL": "tcp/5432",
    "adb": "tcp/5555",
    "VNC": "tcp/5900 tcp/5901 tcp/5902",
    "WinRM": "tcp/5985 tcp/5986",
    "X11": "tcp/6000",
    "Redis": "tcp/6379",
    "Kubernetes": "tcp/6443 tcp/10250",
    "CWMP": "tcp/7547",
    "Elasticsearch": "tcp/9200 tcp/9300",
    "memcached": "tcp/11211 udp/11211",
    "MongoDB": "tcp/27017",
    "ping": "icmp/echo icmp6/echo",
    "ARP": "arp/request",
}

WORDS = {service: word for word, services in _PORTS.items() for service in services.split()}
"""Service → what it is called."""

_LOGINS = (
    "FTP",
    "ssh",
    "telnet",
    "mail",
    "SMB",
    "SQL Server",
    "MySQL",
    "RDP",
    "radmin",
    "PostgreSQL",
    "VNC",
    "WinRM",
)

LOGINS = frozenset(service for word in _LOGINS for service in _PORTS[word].split())
"""Services that ask for a password first of all."""


def worded(service: str) -> str:
    """Return a service with what it is called: ``telnet tcp/23``; one that we have no word for as it is."""
    return f"{WORDS[service]} {service}" if service in WORDS else service
