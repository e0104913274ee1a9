"""A letter through every door of the product; each function returns the message's public id."""

import re
import smtplib
import subprocess

from system.letters import Letter

QUEUED = re.compile(r"queued as ([0-9a-f-]{36})")


def by_api(product, letter: Letter):
    return product.api.send(**letter.as_json())["id"]


def by_api_raw(product, letter: Letter):
    recipients = "&".join(f"to={address}" for address in sorted(letter.recipients))
    answer = product.api.ask(
        "POST",
        f"/api/v1/messages/raw?from={letter.from_.email}&{recipients}",
        letter.as_email().as_bytes(),
        Content_Type="message/rfc822",
    )
    return answer.expect(202)["id"]


def by_command(product, letter: Letter, folder):
    words = ["send", "--from", str(letter.from_), "--subject", letter.subject]
    for person in letter.to:
        words += ["--to", str(person)]
    words += ["--text", letter.text] if letter.text else []
    words += ["--html", letter.html] if letter.html else []
    for one in letter.enclosures:
        path = folder / one.filename
        path.write_bytes(one.data)
        words += ["--attach", path]
    return product.tell(*words)["id"]


def by_smtp(product, letter: Letter, user="app"):
    """Python's smtplib, which signs in with the key as password."""
    with smtplib.SMTP("127.0.0.1", product.submission_port, timeout=30) as session:
        session.ehlo()
        session.login(user, product.key)
        session.mail(letter.from_.email)
        for address in sorted(letter.recipients):
            code, reply = session.rcpt(address)
            assert code == 250, reply
        code, reply = session.data(letter.as_email().as_bytes())
        assert code == 250, reply
        return QUEUED.search(reply.decode())[1]


def by_swaks(product, letter: Letter, folder, mechanism="LOGIN"):
    """swaks, a program of other people."""
    path = folder / "letter.eml"
    path.write_bytes(letter.as_email().as_bytes())
    done = subprocess.run(
        [
            *("swaks", "--server", f"127.0.0.1:{product.submission_port}"),
            *("--auth", mechanism, "--auth-user", "app", "--auth-password", product.key),
            *("--from", letter.from_.email, "--to", ",".join(sorted(letter.recipients))),
            *("--data", f"@{path}"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return QUEUED.search(done.stdout)[1]
