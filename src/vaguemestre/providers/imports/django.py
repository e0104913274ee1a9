"""Django's settings: `EMAIL_*` and `MAILERS`, read as a syntax tree and never run.

Only what stands there is taken: a value that is computed, or comes from the environment, is marked. Settings
that are not about mail are passed over.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from vaguemestre.providers.imports.gathering import Gathering
from vaguemestre.providers.imports.reading import Found, Kind, Reading, Unread, Why, in_order

_SMTP_BACKEND = "smtp.EmailBackend"
_FIELDS = {
    "EMAIL_HOST": "host",
    "EMAIL_PORT": "port",
    "EMAIL_HOST_USER": "login",
    "EMAIL_HOST_PASSWORD": "password",
    "EMAIL_USE_TLS": "starttls",
    "EMAIL_USE_SSL": "ssl",
    "DEFAULT_FROM_EMAIL": "from",
}
_OPTIONS = {
    "host": "host",
    "port": "port",
    "username": "login",
    "password": "password",
    "use_tls": "starttls",
    "use_ssl": "ssl",
}
_NEEDLESS = frozenset(
    {
        "EMAIL_TIMEOUT",
        "EMAIL_SUBJECT_PREFIX",
        "EMAIL_USE_LOCALTIME",
        "SERVER_EMAIL",
        "timeout",
        "fail_silently",
    }
)
_ABOUT_MAIL = ("EMAIL_", "DEFAULT_FROM_EMAIL", "SERVER_EMAIL", "MAILERS")


def parse(text: str) -> ast.Module | None:
    """The text as Python; None where it is none, or has half a character (a lone surrogate) in it."""
    try:
        tree = ast.parse(text)
        "".join(_texts(tree)).encode()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return tree


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def is_django(text: str) -> bool:
    """Whether a text is Python that sets something about mail to a value."""
    tree = parse(text)
    return tree is not None and any(
        isinstance(value, ast.Constant | ast.Dict | ast.Call | ast.Subscript)
        for name, value in _assignments(tree)
        if name.startswith(_ABOUT_MAIL)
    )


def read_django(text: str) -> Reading:
    """The connections that a settings module describes: one of `EMAIL_*`, one for each of `MAILERS`."""
    tree = parse(text)
    if tree is None:
        return Reading(Kind.DJANGO, (), (Unread(_faulty_line(text), "", Why.SYNTAX),))
    plain = Gathering()
    mailers: list[Gathering] = []
    for name, value in _assignments(tree):
        if name == "MAILERS":
            mailers += _mailers(value, plain)
        elif name.startswith(_ABOUT_MAIL):
            _setting(plain, name, value)
    sender = plain.sender
    for mailer in mailers:
        mailer.fall_back(sender)
    gathered = [plain, *mailers]
    found = [gathering.found() for gathering in gathered]
    unread = [line for gathering in gathered for line in gathering.unread]
    return Reading(Kind.DJANGO, _present(found), in_order(unread))


def _present(found: list[Found | None]) -> tuple[Found, ...]:
    return tuple(one for one in found if one is not None)


def _assignments(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """Names that the module sets, also within `if` and `try`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, node.value
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            yield node.target.id, node.value


def _setting(gathering: Gathering, name: str, value: ast.expr) -> None:
    if name == "EMAIL_BACKEND":
        _backend(gathering, name, value)
    elif name in _FIELDS:
        _take(gathering, _FIELDS[name], name, value)
    elif name not in _NEEDLESS:
        gathering.miss(value.lineno, name, Why.UNKNOWN)


def _backend(gathering: Gathering, name: str, value: ast.expr) -> bool:
    """Whether mail leaves by SMTP."""
    if isinstance(value, ast.Constant) and str(value.value).endswith(_SMTP_BACKEND):
        return True
    gathering.miss(value.lineno, name, Why.MAILER if isinstance(value, ast.Constant) else Why.ELSEWHERE)
    return False


def _mailers(value: ast.expr, plain: Gathering) -> list[Gathering]:
    found = []
    for alias, entry in _items(value, plain, "MAILERS"):
        gathering = Gathering(alias)
        parts = dict(_items(entry, gathering, f"MAILERS[{alias}]"))
        backend = parts.get("BACKEND")
        if backend is None or _backend(gathering, f"MAILERS[{alias}][BACKEND]", backend):
            _options(gathering, alias, parts.get("OPTIONS"))
        found.append(gathering)
    return found


def _options(gathering: Gathering, alias: str, options: ast.expr | None) -> None:
    if options is None:
        return
    for option, value in _items(options, gathering, f"MAILERS[{alias}][OPTIONS]"):
        name = f"MAILERS[{alias}][{option}]"
        if option in _OPTIONS:
            _take(gathering, _OPTIONS[option], name, value)
        elif option not in _NEEDLESS:
            gathering.miss(value.lineno, name, Why.UNKNOWN)


def _items(value: ast.expr, gathering: Gathering, name: str) -> list[tuple[str, ast.expr]]:
    """The entries of a dictionary that stands there; what is none is noted."""
    if not isinstance(value, ast.Dict):
        gathering.miss(value.lineno, name, Why.ELSEWHERE)
        return []
    pairs = zip(value.keys, value.values, strict=True)
    return [
        (key.value, entry)
        for key, entry in pairs
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]


def _take(gathering: Gathering, field: str, name: str, value: ast.expr) -> None:
    if isinstance(value, ast.Constant) and isinstance(value.value, str | int | bool | None):
        text = "" if value.value is None else str(value.value)
        gathering.take(field, text, value.lineno, name)
    else:
        gathering.miss(value.lineno, name, Why.ELSEWHERE)


def _faulty_line(text: str) -> int:
    try:
        ast.parse(text)
    except SyntaxError as error:
        return error.lineno or 1
    except (ValueError, RecursionError, MemoryError):
        return 1
    return 1
