"""Addresses and networks of the internet protocol, as people and proxies write them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def read_networks(text: str) -> tuple[Network, ...]:
    """Networks from a list in CIDR notation, with commas; an address is a network of one.

    Raises:
        ValueError: one is none.
    """
    return tuple(ip_network(one.strip()) for one in text.split(",") if one.strip())


def read_address(text: str) -> Address | None:
    """An address, also with a port, in brackets, or as IPv4 in IPv6; None for anything else."""
    host = text.strip()
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ip_address(host)
    except ValueError:
        return None
    return (address.ipv4_mapped if isinstance(address, IPv6Address) else None) or address
