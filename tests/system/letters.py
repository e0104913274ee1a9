"""Letters: what is handed over, in the form each door wants it, and what arrived, read from its bytes."""

import base64
import hashlib
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from email.utils import formataddr


@dataclass(frozen=True)
class Person:
    """An address with a display name."""

    email: str
    name: str = ""

    def __str__(self):
        return formataddr((self.name, self.email))


@dataclass(frozen=True)
class Enclosure:
    """An attachment."""

    filename: str
    content_type: str
    data: bytes

    @property
    def sha256(self):
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True)
class Letter:
    """What a submitter hands over."""

    to: tuple
    subject: str
    text: str = ""
    html: str = ""
    from_: Person | None = None
    reply_to: tuple = ()
    cc: tuple = ()
    bcc: tuple = ()
    enclosures: tuple = ()

    @property
    def recipients(self):
        return {person.email for person in (*self.to, *self.cc, *self.bcc)}

    def as_json(self):
        """For `POST /messages`."""
        enclosures = [
            {
                "filename": one.filename,
                "content_type": one.content_type,
                "content": base64.b64encode(one.data).decode(),
            }
            for one in self.enclosures
        ]
        body = {
            "to": [vars(person) for person in self.to],
            "cc": [vars(person) for person in self.cc],
            "bcc": [vars(person) for person in self.bcc],
            "reply_to": [vars(person) for person in self.reply_to],
            "from": vars(self.from_) if self.from_ else None,
            "subject": self.subject,
            "text": self.text,
            "html": self.html,
            "attachments": enclosures,
        }
        return {name: value for name, value in body.items() if value}

    def as_email(self):
        """For SMTP and `/messages/raw`; without Bcc, which travels in the envelope."""
        message = EmailMessage(policy.SMTP)
        for name, people in (("To", self.to), ("Cc", self.cc), ("Reply-To", self.reply_to)):
            if people:
                message[name] = ", ".join(map(str, people))
        if self.from_:
            message["From"] = str(self.from_)
        message["Subject"] = self.subject
        if self.text:
            message.set_content(self.text)
        if self.html and self.text:
            message.add_alternative(self.html, subtype="html")
        for one in self.enclosures:
            kind, _, subtype = one.content_type.partition("/")
            message.add_attachment(one.data, maintype=kind, subtype=subtype, filename=one.filename)
        return message


@dataclass(frozen=True)
class Arrived:
    """What a recipient's mailbox holds."""

    raw: bytes

    @property
    def parsed(self):
        return message_from_bytes(self.raw, policy=policy.default)

    def people(self, name):
        """The mailboxes of every header of that name."""
        headers = self.parsed.get_all(name, [])
        return [Person(one.addr_spec, one.display_name) for header in headers for one in header.addresses]

    @property
    def text(self):
        return self._body("plain")

    @property
    def html(self):
        return self._body("html")

    def _body(self, kind):
        part = self.parsed.get_body((kind,))
        return "" if part is None else part.get_content().replace("\r\n", "\n").rstrip("\n")

    @property
    def enclosures(self):
        """By file name: type and SHA-256."""
        return {
            part.get_filename(): (
                part.get_content_type(),
                hashlib.sha256(part.get_payload(decode=True)).hexdigest(),
            )
            for part in self.parsed.iter_attachments()
        }

    def assert_is(self, letter, *, sender, reply_to, never=()):
        """It is that letter from that sender, and holds none of the texts of `never`."""
        assert self.people("From") == [sender]
        assert self.people("Reply-To") == list(reply_to)
        assert self.people("To") == list(letter.to)
        assert self.people("Cc") == list(letter.cc)
        assert self.parsed["Bcc"] is None
        assert self.parsed["Subject"] == letter.subject
        assert self.text == letter.text.rstrip("\n")
        assert self.html == letter.html.rstrip("\n")
        wanted = {one.filename: (one.content_type, one.sha256) for one in letter.enclosures}
        assert self.enclosures == wanted
        for name in ("From", "Date", "Message-ID", "Subject", "MIME-Version"):
            assert len(self.parsed.get_all(name)) == 1, name
        headers = [(name, value) for name, value in self.parsed.items() if name.lower() != "received"]
        shown = repr(headers) + self.raw.decode("latin-1")
        for text in (*never, *(person.email for person in letter.bcc)):
            assert text not in shown, text


def a_full_letter(marker):
    """With all that may go wrong on its way: two languages of names, three recipients, dots, two enclosures."""
    noise = b"".join(hashlib.sha256(f"{marker} {n}".encode()).digest() for n in range(3000))
    return Letter(
        from_=Person("robot@app.example", "Le Robot d’à côté"),
        reply_to=(Person("conseil@app.example", "Conseil Zoë"),),
        to=(Person("anna@example.com", "Änna Öz"), Person("boris@example.net", "Борис")),
        cc=(Person("chloe@example.com"),),
        bcc=(Person("secret-reader@example.org"),),
        subject=f"Été à Łódź: 日本 🙂 {marker} " + "long " * 20 + "end",
        text=f"Bonjour {marker},\n\n.\n.. une ligne\nFrom here on\nça va\n",
        html=f"<p>Bonjour <b>{marker}</b>, ça va&nbsp;?</p>",
        enclosures=(
            Enclosure("Übersicht é.pdf", "application/pdf", b"%PDF-1.7\r\n.\r\n\x00\xff" + noise),
            Enclosure("liste.csv", "text/csv", "nom;âge\r\nZoë;7\r\n.\r\n".encode()),
        ),
    )


def a_plain_letter(marker, *recipients):
    return Letter(
        from_=Person("robot@app.example", "Robot"),
        to=tuple(Person(address) for address in recipients or ("anna@example.com",)),
        subject=f"Größe {marker}",
        text=f"Bonjour {marker},\n.\nune ligne\n",
    )
