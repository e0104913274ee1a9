"""The messages that are sent, the same for everybody."""

import json
from email.message import EmailMessage

SENDER = "office@example.org"
SIZE = 4096  # bytes of text
POSTED = 1536  # bytes of JSON
LINE = "The quick brown fox jumps over the lazy dog, and then it does so again.\n"


def text_of(size=SIZE):
    """Text that has so many bytes on the wire, where a line ends with CRLF."""
    lines, rest = divmod(size, len(LINE) + 1)
    return LINE * lines + "x" * rest


def recipient_of(number):
    return f"reader{number}@example.com"


def composed(number, size=SIZE):
    """A message as bytes, with lines that end in CRLF."""
    message = EmailMessage()
    message["From"], message["To"] = SENDER, recipient_of(number)
    message["Subject"] = f"Message {number}"
    message["Message-ID"] = f"<{number}@example.org>"
    message["Date"] = "Thu, 01 Jan 2026 00:00:00 +0000"
    message.set_content(text_of(size))
    return message.as_bytes().replace(b"\n", b"\r\n")


def posted(number, size=POSTED):
    """A message as JSON for the API, of so many bytes: text and HTML, as most applications send both.

    Each has a text of its own, as what is written to somebody has.
    """
    subject, recipient = f"Message {number:07}", recipient_of(f"{number:07}")
    name, paragraph = f"Dear reader {number:07},\n", f"<p>{LINE.strip()}</p>\n"
    texts = {"text": name + LINE * 5, "html": f"<p>{name}</p>\n" + paragraph * 9}
    values = {"to": [recipient], "subject": subject} | texts
    values["text"] += "x" * (size - len(json.dumps(values)))
    return json.dumps(values).encode()
