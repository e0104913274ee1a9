"""A message whose words come from a template: what is asked for, and the post with the words in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vaguemestre.ledger import templates
from vaguemestre.ledger.refusals import Missing, Refusal
from vaguemestre.mail.compose import Post
from vaguemestre.mail.errors import Invalid


@dataclass(frozen=True)
class Letter:
    """What a template is asked to write.

    Attributes:
        template: its key.
        data: what the template may show.
        language: "" takes the recipient's, where there is one and it is known, else the installation's.
        stream: whose template comes first.
    """

    template: str
    data: Mapping[str, object] = field(default_factory=dict)
    language: str = ""
    stream: str = ""


def write(post: Post, letter: Letter) -> Post:
    """The post with subject, text and HTML from the template.

    Raises:
        Refusal: there is no such template, or it and the data do not go together; with the line.
    """
    language = letter.language or _language_of(post)
    try:
        words = templates.render(letter.template, language, letter.data, letter.stream)
    except Missing as missing:
        raise Refusal(Invalid("template", "template_unknown", str(missing))) from None
    return replace(post, subject=words.subject, text=words.text, html=words.html)


def write_anyway(post: Post, letter: Letter) -> tuple[Post, Refusal | None]:
    """As `write`; where that fails, by the template that came with the product, and with the refusal."""
    try:
        return write(post, letter), None
    except Refusal as refusal:
        words = templates.render_starter(letter.template, letter.language, letter.data)
        return replace(post, subject=words.subject, text=words.text, html=words.html), refusal


def _language_of(post: Post) -> str:
    recipients = (*post.to, *post.cc, *post.bcc)
    return templates.language_of(recipients[0].mailbox.address) if len(recipients) == 1 else ""
