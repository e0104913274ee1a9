"""Words that must be found nowhere, and the search for them in every form in which they might be written down."""

import base64
import urllib.parse
from pathlib import Path

from system.processes import descendants


def spellings(word):
    """Every form of a text, or of octets."""
    raw = word if isinstance(word, bytes) else word.encode()
    forms = {raw, raw.hex().encode(), raw[::-1], urllib.parse.quote(raw).encode()}
    if isinstance(word, str):
        forms.add(word.encode("utf-16-le"))
    for shift in range(3):
        # Whatever stands before and behind it in base64: the characters that depend on it alone.
        encoded = base64.b64encode(b"\0" * shift + raw + b"\0" * 3)
        forms.add(encoded[4 if shift else 0 : (shift + len(raw)) // 3 * 4])
    return forms


def occurrences(places, words):
    """Where the words stand: `(place, form)`."""
    forms = set().union(*(spellings(word) for word in words))
    return [(place, form) for place, content in places for form in forms if form in content]


def lines_of_key(pem):
    """What stands nowhere but in that private key: its inner lines, as text and as octets."""
    inner = pem.strip().splitlines()[3:-2]
    return [*inner, *map(base64.b64decode, inner)]


def files_below(folder):
    """Each with its content."""
    return [(str(path), path.read_bytes()) for path in Path(folder).rglob("*") if path.is_file()]


def processes_of(product):
    """Environment and command line of each, as whoever may look at processes sees them."""
    for pid in (product.running.pid, *descendants(product.running.pid)):
        for name in ("environ", "cmdline"):
            yield f"{name} of {pid}", Path(f"/proc/{pid}/{name}").read_bytes()
