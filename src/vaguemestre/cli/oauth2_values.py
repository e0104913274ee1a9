"""An account of OAuth 2.0 as options of a command. Secrets come by standard input or from a file alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from vaguemestre.cli.failure import Failed

_TEXTS = {
    "provider": "microsoft, google or generic",
    "grant": "client_credentials, authorization_code or jwt_bearer",
    "tenant": "Microsoft's directory (tenant) id, or your domain",
    "client_id": "the application's id",
    "token_endpoint": "where tokens are asked for; empty for the provider's own",
    "authorization_endpoint": "where a person agrees; empty for the provider's own",
    "scope": "what is asked for; empty for what the provider's mail servers want",
}
_SECRETS = ("client_secret", "refresh_token")


def declare(parser: argparse.ArgumentParser) -> None:
    """One option for each value, and the secrets' ways in."""
    parser.add_argument("--auth", help="none, password or oauth2; as login and password say, unless given")
    for name, summary in _TEXTS.items():
        parser.add_argument(f"--oauth2-{name.replace('_', '-')}", help=summary)
    ways = parser.add_mutually_exclusive_group()
    for name in _SECRETS:
        words = name.replace("_", "-")
        ways.add_argument(
            f"--oauth2-{words}-stdin", action="store_true", help=f"read the {words} from standard input"
        )
    ways.add_argument("--oauth2-key-file", metavar="FILE", help="the JSON key of a Google service account")


def typed(arguments: argparse.Namespace) -> dict[str, Any]:
    """The values that were given, under the names of the API."""
    given = {name: getattr(arguments, f"oauth2_{name}") for name in _TEXTS}
    account = {name: text for name, text in given.items() if text is not None} | _secret(arguments)
    auth = {} if arguments.auth is None else {"auth": arguments.auth}
    return auth | ({"oauth2": account} if account else {})


def _secret(arguments: argparse.Namespace) -> dict[str, str]:
    for name in _SECRETS:
        if getattr(arguments, f"oauth2_{name}_stdin"):
            return {name: sys.stdin.readline().rstrip("\r\n")}
    if arguments.oauth2_key_file is None:
        return {}
    try:
        return {"service_account_key": Path(arguments.oauth2_key_file).read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"oauth2.service_account_key: the file cannot be read: {error}.") from None
