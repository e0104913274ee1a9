"""What is composed by hand is what the standard library reads, and what it would have made itself.

Its reader of addresses puts a blank where two encoded words of a name meet, and makes one blank of several; its
writer loses some blanks of a long subject. Where it does, words are compared without blanks. Its writer garbles
some long names beside others, too: what it cannot read again itself is no measure.
"""

import email
from email import policy
from email.headerregistry import Address
from email.message import EmailMessage

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from vaguemestre.mail.compose import Post, compose
from vaguemestre.mail.content import LINE_LIMIT
from vaguemestre.mail.mailbox import Mailbox, NamedMailbox

PRINTABLE = st.characters(exclude_categories=["Cs", "Cc", "Cf", "Zl", "Zp", "Zs", "Co", "Cn"]) | st.just(" ")
WORDS = st.text(PRINTABLE | st.sampled_from('éàç€日本🎉=?_,;:<>@"\\()'), max_size=120)
LINES = st.text(PRINTABLE | st.sampled_from("\r\n\t =.é日"), max_size=600)
ADDRESSES = st.builds(
    "{}@{}.example".format,
    st.text("abcxyz019", min_size=1, max_size=20).flatmap(
        lambda a: st.sampled_from([a, f"{a}.b", f"{a}+tag"])
    ),
    st.text("abcxyz019", min_size=1, max_size=20),
)
NAMES = WORDS.map(lambda text: " ".join(text.split()))
NAMED = st.builds(lambda address, name: NamedMailbox(Mailbox.parse(address), name), ADDRESSES, NAMES)
MANY = st.lists(NAMED, max_size=4, unique_by=lambda named: named.mailbox).map(tuple)
POSTS = st.builds(
    Post,
    to=MANY.filter(len),
    cc=MANY,
    from_=st.none() | NAMED,
    reply_to=MANY,
    subject=WORDS,
    text=LINES,
    html=st.none() | LINES,
)


def read(raw):
    return email.message_from_bytes(raw, policy=policy.default)


def by_the_library(post):
    message = EmailMessage(policy=policy.SMTP)
    for name, mailboxes in fields(post).items():
        if mailboxes:
            message[name] = [Address(named.name, addr_spec=named.mailbox.wire) for named in mailboxes]
    message["Subject"] = post.subject
    message.set_content(post.text)
    if post.html is not None:
        message.add_alternative(post.html, subtype="html")
    return read(message.as_bytes())


def fields(post):
    sender = () if post.from_ is None else (post.from_,)
    return {"From": sender, "To": post.to, "Cc": post.cc, "Reply-To": post.reply_to}


def addresses(message):
    found = {}
    for name in ("From", "To", "Cc", "Reply-To"):
        listed = message[name].addresses if name in message else ()
        found[name] = [(address.display_name, address.addr_spec) for address in listed]
    return found


def given_addresses(post):
    return {name: [(box.name, box.mailbox.wire) for box in boxes] for name, boxes in fields(post).items()}


def unspaced(text):
    return "".join(text.split())


def without_blanks(listed):
    return {name: [(unspaced(box), wire) for box, wire in boxes] for name, boxes in listed.items()}


def with_crlf(text):
    lines = text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")
    return lines if lines.endswith("\r\n") else lines + "\r\n"


def body(message, kind):
    part = message.get_body((kind,))
    return None if part is None else part.get_payload(decode=True).decode()


@given(POSTS)
def test_the_standard_library_reads_what_was_posted(post):
    _, content = compose(post)
    message = read(content.raw)
    assert message.defects == []
    assert message["Subject"] == (post.subject or None)
    assert without_blanks(addresses(message)) == without_blanks(given_addresses(post))
    assert body(message, "html") == (None if post.html is None else with_crlf(post.html))
    if post.html is None or post.text.strip():
        assert body(message, "plain") == with_crlf(post.text)


@given(st.lists(NAMED.filter(lambda named: len(named.name.encode()) <= 18), min_size=1, max_size=4))
def test_a_name_of_one_encoded_word_comes_back_to_the_blank(mailboxes):
    post = Post(to=tuple(mailboxes), text="x")
    assert addresses(read(compose(post)[1].raw)) == given_addresses(post)


@given(POSTS)
def test_every_line_fits_and_ends_with_crlf(post):
    _, content = compose(post)
    lines = content.raw.split(b"\r\n")
    assert max(map(len, lines)) <= LINE_LIMIT
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert lines[-1] == b""
    assert content.raw.isascii()


@settings(deadline=None)  # it takes milliseconds to make one
@given(POSTS)
def test_it_holds_what_the_standard_library_would_have_made_of_it(post):
    _, content = compose(post)
    ours, theirs = read(content.raw), by_the_library(post)
    assert unspaced(ours["Subject"] or "") == unspaced(theirs["Subject"])
    assume(without_blanks(addresses(theirs)) == without_blanks(given_addresses(post)))
    assert without_blanks(addresses(ours)) == without_blanks(addresses(theirs))
    assert body(ours, "html") == body(theirs, "html")
    if post.html is None or post.text.strip():
        assert body(ours, "plain") == body(theirs, "plain")
