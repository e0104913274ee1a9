"""An `smtp://` or `smtps://` address, as many programs keep their account in one line.

`smtps://` is TLS from the first byte (465), `smtp://` STARTTLS, required (587); `?tls=none` is none,
`?tls=opportunistic` becomes required and is marked. User and password are percent-encoded. `smtp+ssl`,
`smtp+tls` and `submission` mean the same as others write them.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, unquote, urlsplit

from vaguemestre.providers.imports.gathering import Gathering
from vaguemestre.providers.imports.reading import Kind, Reading, Why, in_order

SCHEMES = {
    "smtp": "starttls",
    "submission": "starttls",
    "smtp+tls": "starttls",
    "smtp+starttls": "starttls",
    "smtps": "ssl",
    "submissions": "ssl",
    "smtp+ssl": "ssl",
}
IS_URL = re.compile(rf"(?:{'|'.join(map(re.escape, SCHEMES))})://\S+", re.IGNORECASE)
_TLS = {"required": "starttls", "none": "none", "opportunistic": "starttls", "starttls": "starttls"}
_OPTIONS = {"from": "from", "sender": "from", "reply_to": "reply_to", "name": "sender_name"}


def read_url(text: str) -> Reading:
    """The connections that the addresses of a text describe, one a line."""
    found, unread = [], []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        gathering = Gathering()
        gather_url(gathering, line.strip().strip("\"'"), number, "")
        connection = gathering.found()
        found += [] if connection is None else [connection]
        unread += gathering.unread
    return Reading(Kind.URL, tuple(found), in_order(unread))


def gather_url(gathering: Gathering, url: str, line: int, name: str) -> None:
    """Put the parts of an address into a gathering."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        gathering.miss(line, name, Why.SYNTAX)
        return
    if parts.scheme not in SCHEMES:
        gathering.miss(line, name, Why.MAILER if "://" in url else Why.SYNTAX)
        return
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    word = _encryption(gathering, parts.scheme, options.pop("tls", options.pop("encryption", "")), line, name)
    host = parts.hostname or "?"
    gathering.take("host", f"[{host}]" if ":" in host else host, line, name)
    if port is not None:
        gathering.take("port", str(port), line, name)
    gathering.take("encryption", word, line, name)
    gathering.take("login", unquote(parts.username or ""), line, name)
    gathering.take("password", unquote(parts.password or ""), line, name)
    for option, value in options.items():
        if option in _OPTIONS:
            gathering.take(_OPTIONS[option], value, line, option)
        else:
            gathering.miss(line, option[:60], Why.UNKNOWN)


def _encryption(gathering: Gathering, scheme: str, said: str, line: int, name: str) -> str:
    if said == "opportunistic":
        gathering.miss(line, name or "tls", Why.OPPORTUNISTIC)
    if said and said not in _TLS:
        gathering.miss(line, name or "tls", Why.VALUE)
    return _TLS.get(said, SCHEMES[scheme]) if SCHEMES[scheme] != "ssl" else "ssl"
