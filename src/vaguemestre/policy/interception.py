"""Whether a certificate was put there by something between here and the server: a proxy that opens TLS, or an
antivirus program that reads mail.

They issue certificates of their own for any name. Each is known by the issuer's name that its maker ships; an
authority that a company named itself shows only where a well-known provider's server suddenly has a
certificate that nobody vouches for.
"""

from __future__ import annotations

import re

_PRODUCTS = {
    "Fortinet FortiGate": r"forti(?:net|gate|sandbox|proxy|client)",
    "Zscaler": r"zscaler",
    "Avast": r"\bavast\b",
    "AVG": r"\bavg (?:web|mail|technologies)",
    "Kaspersky": r"kaspersky",
    "ESET": r"\beset\b",
    "Sophos": r"sophos",
    "Palo Alto Networks": r"palo ?alto",
    "Bitdefender": r"bitdefender",
    "Netskope": r"netskope|\bgoskope\b",
    "Cisco Umbrella": r"cisco umbrella|cisco secure access|\bopendns\b",
    "Check Point": r"check ?point",
    "WatchGuard": r"watchguard",
    "SonicWall": r"sonicwall",
    "Barracuda": r"barracuda",
    "Blue Coat": r"blue ?coat",
    "McAfee": r"mcafee|skyhigh",
    "Forcepoint": r"forcepoint|websense",
    "Stormshield": r"stormshield|netasq",
    "Norton": r"norton (?:web|mail|antivirus)|nortonlifelock",
    "G DATA": r"\bg ?data\b",
    "Dr.Web": r"\bdr\.? ?web\b",
    "Trend Micro": r"trend ?micro",
    "Cloudflare Gateway": r"gateway ca - cloudflare",
    "Untangle": r"untangle",
    "Smoothwall": r"smoothwall",
    "Squid": r"\bsquid\b",
    "mitmproxy": r"mitmproxy",
}
_KNOWN = {product: re.compile(pattern, re.IGNORECASE) for product, pattern in _PRODUCTS.items()}


def interceptor(issuer: str) -> str:
    """The product that issues certificates under that name; "" if none is known to."""
    return next((product for product, pattern in _KNOWN.items() if pattern.search(issuer)), "")
