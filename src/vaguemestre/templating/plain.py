"""The text of HTML, for readers of plain text (RFC 2046 §5.1.4): what a person would read, in its order.

Headings, paragraphs, rows and items stand on lines of their own; a link's address follows its words. It never
fails: what is no HTML comes out as it stands.
"""

from __future__ import annotations

import re
from html.parser import HTMLParser

_PARAGRAPHS = frozenset({"p", "h1", "h2", "h3", "h4", "table", "ul", "ol", "blockquote", "pre", "hr"})
_LINES = frozenset({"div", "tr", "li", "dt", "dd", "section", "header", "footer"})
_SILENT = frozenset({"script", "style", "head", "title", "template"})
# Where a line and a paragraph begin or end, until it is known what stands there.
_LINE, _PARAGRAPH = "\x01", "\x02"


def text_of(markup: str, colon: str = ": ") -> str:
    """The words of HTML, in lines; `colon` stands between the heading of a row and its value."""
    reader = _Reader(colon)
    reader.feed(markup)
    reader.close()
    text = re.sub(r" {2,}", " ", "".join(reader.pieces))  # so that no pattern below goes over a run twice
    text = re.sub(rf" ?{_LINE}[ {_LINE}]*", _LINE, text)
    text = re.sub(rf"[ {_LINE}]*{_PARAGRAPH}[ {_LINE}{_PARAGRAPH}]*", "\n\n", text).replace(_LINE, "\n")
    lines = (line.strip(" ") for line in text.split("\n"))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


class _Reader(HTMLParser):
    def __init__(self, colon: str) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self.silent = 0
        self.colon = colon
        self.behind_heading = " "
        self.links: list[tuple[str, int]] = []  # address, and where its words begin

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.silent += tag in _SILENT
        self._break(tag)
        given = dict(attrs)
        match tag:
            case "br":
                self.pieces.append("\n")
            case "li":
                self.pieces.append("- ")
            case "a":
                self.links = [(given.get("href") or "", len(self.pieces))]  # one ends where the next begins
            case "img":
                self.handle_data(given.get("alt") or "")
            case "th":
                self.behind_heading = self.colon if given.get("scope") == "row" else " "

    def handle_endtag(self, tag: str) -> None:
        self.silent -= tag in _SILENT and self.silent > 0
        self._break(tag)
        if tag in {"td", "th"}:
            self.pieces.append(self.behind_heading if tag == "th" else " ")
        elif tag == "a" and self.links:
            address, start = self.links.pop()
            self._follow(address.removeprefix("mailto:"), "".join(self.pieces[start:]).strip())

    def handle_data(self, data: str) -> None:
        if not self.silent:
            self.pieces.append(re.sub(rf"[ \t\r\n\f{_LINE}{_PARAGRAPH}]+", " ", data))

    def _follow(self, address: str, words: str) -> None:
        if address and address != words and not address.startswith(("#", "cid:")):
            self.pieces.append(f" ({address})")

    def _break(self, tag: str) -> None:
        if not self.silent and tag in _PARAGRAPHS | _LINES:
            self.pieces.append(_PARAGRAPH if tag in _PARAGRAPHS else _LINE)
