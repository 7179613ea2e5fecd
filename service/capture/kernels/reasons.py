"""Sections of the tally: why packets are not followed, and which tunnels were opened."""

TRUNCATED, MALFORMED, FRAGMENT, LLC, ARP_OTHER, ADDRESSES = 0, 1, 2, 3, 4, 5
TCP_CUT, NESTED, WLAN_NO_DATA, WLAN_PROTECTED, DAMAGED = 6, 7, 8, 9, 10

ETHERTYPE = 16
PROTOCOL = ETHERTYPE + 65536
ICMP_TYPE = PROTOCOL + 256
ICMP6_TYPE = ICMP_TYPE + 256
LINK_TYPE = ICMP6_TYPE + 256
PPP_PROTOCOL = LINK_TYPE + 65536

TUNNEL = PPP_PROTOCOL + 65536
"""From here on packets are counted that were read through a tunnel, by the kind of the outermost one."""
GRE, ERSPAN, IP_IN_IP, SIX_IN_FOUR, TEREDO, VXLAN, GENEVE, GTP = 0, 1, 2, 3, 4, 5, 6, 7
TALLY_SIZE = TUNNEL + 8
