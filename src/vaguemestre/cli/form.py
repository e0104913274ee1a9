"""`vaguemestre form`: forms of websites, and what came in through them."""

from __future__ import annotations

import argparse
import sys

from django.utils import timezone

from vaguemestre.cli.arguments import action, actions, actor, json_object
from vaguemestre.cli.files import text_of
from vaguemestre.cli.output import listing, show, table
from vaguemestre.ledger import form_markup, form_submissions, forms

COLUMNS = ("key", "name", "active", "connection", "notify", "replies", "address")
SENT = ("at", "email", "values", "unreplied")
LATEST = 50


def declare(parser: argparse.ArgumentParser) -> None:
    """`form list|show|add|edit|delete|markup|submissions|forget`."""
    among = actions(parser)
    action(among, "list", "list all", _list)
    _key(action(among, "show", "show one", _show))
    _file(action(among, "add", "create one from JSON", _add))
    changed = action(among, "edit", "change what JSON names", _edit)
    _key(changed)
    _file(changed)
    _key(action(among, "delete", "delete one with all that came in through it", _delete))
    markup = action(among, "markup", "the HTML to paste into a site", _markup)
    _key(markup)
    markup.add_argument("--language", default="", help="one of the form's; its usual one")
    sent = action(among, "submissions", "what came in, the latest first", _submissions)
    _key(sent)
    sent.add_argument("--csv", action="store_true", help="all of it as CSV")
    gone = action(among, "forget", "delete what one visitor sent", _forget)
    _key(gone)
    gone.add_argument("submission", help="its id")


def _key(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("key", help="of the form, as it stands in its address")


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", help="JSON as the API takes it; - for standard input")


def _list(arguments: argparse.Namespace) -> None:
    found = [forms.resource(form) for form in forms.all_forms()]
    named = {form.key: form.connection.name for form in forms.all_forms() if form.connection}
    rows = [row | {"connection": named.get(row["key"])} for row in found]
    show(arguments, found, table(rows, COLUMNS))


def _show(arguments: argparse.Namespace) -> None:
    found = forms.resource(forms.find(arguments.key))
    show(arguments, found, listing(found))


def _add(arguments: argparse.Namespace) -> None:
    found = forms.resource(
        forms.create(json_object(text_of(arguments.file), "file"), actor(), timezone.now())
    )
    show(arguments, found, listing(found))


def _edit(arguments: argparse.Namespace) -> None:
    found = forms.resource(
        forms.edit(arguments.key, json_object(text_of(arguments.file), "file"), actor(), timezone.now())
    )
    show(arguments, found, listing(found))


def _delete(arguments: argparse.Namespace) -> None:
    forms.delete(arguments.key, actor(), timezone.now())
    show(arguments, {"deleted": arguments.key}, f"{arguments.key} is deleted.")


def _markup(arguments: argparse.Namespace) -> None:
    form = forms.find(arguments.key)
    language = arguments.language if arguments.language in form.languages else form.languages[0]
    html = form_markup.pasted(form, language)
    show(arguments, {"language": language, "html": html}, html)


def _submissions(arguments: argparse.Namespace) -> None:
    form = forms.find(arguments.key)
    if arguments.csv:
        sys.stdout.writelines(form_submissions.csv_of(form))
        return
    found = [form_submissions.resource(one) for one in form_submissions.of_form(form, LATEST)]
    rows = [
        row | {"values": "; ".join(f"{one['label']}: {one['value']}" for one in row["values"])}
        for row in found
    ]
    show(arguments, found, table(rows, SENT))


def _forget(arguments: argparse.Namespace) -> None:
    form_submissions.delete(forms.find(arguments.key), arguments.submission)
    show(arguments, {"deleted": arguments.submission}, f"{arguments.submission} is deleted.")
