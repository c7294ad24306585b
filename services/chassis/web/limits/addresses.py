"""By what a client without a name is counted: its address, or the network that it has whole."""

from functools import lru_cache
from ipaddress import IPv6Address, ip_address, ip_network

SITE_PREFIX = 64
"""Who has one IPv6 address has its whole /64."""


@lru_cache(maxsize=10_000)
def network_of(address: str) -> str | None:
    """The IPv4 address, also one that a proxy names as IPv6; the /64 of an IPv6 address; None for no address."""
    try:
        found = ip_address(address)
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        if found.ipv4_mapped is not None:
            return str(found.ipv4_mapped)
        return str(ip_network((found, SITE_PREFIX), strict=False))
    return str(found)
