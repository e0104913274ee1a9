"""AUTH: who may submit, how, and what happens to guessers (I04, I05)."""

import base64
import time
from ipaddress import ip_network

import pytest
import structlog
from django.utils import timezone

from scripted.certificates import the_authority, the_certificate
from submission.conftest import new_key, plain
from submission.door import MESSAGE
from submission.script import play
from submission.test_main_path import stored
from vaguemestre.doors.submission import answers
from vaguemestre.doors.submission.dialogue import Dialogue
from vaguemestre.doors.submission.effects import Authenticate, Close, Handover
from vaguemestre.doors.submission.exchange import Credentials
from vaguemestre.doors.submission.signing_in import Denied, sign_in
from vaguemestre.doors.submission.terms import Peer, Terms
from vaguemestre.ledger import keys
from vaguemestre.ledger.models import ApiKey, Message
from vaguemestre.mail.secret import Secret

FAR = "192.0.2.7"


def b64(text):
    return base64.b64encode(text.encode()).decode()


def far_dialogue(address=FAR, **terms):
    """A dialogue with a peer that is not on this machine, behind EHLO."""
    dialogue = Dialogue(Terms("mx.example.org", **terms), Peer.at(address), secure=False)
    dialogue.begin()
    return dialogue, said(dialogue.receive(b"EHLO far.example\r\n"))


def said(effects):
    return b"".join(effect for effect in effects if isinstance(effect, bytes)).decode()


def test_auth_plain_with_an_initial_response(door, key):
    play(door.dial(), f"C: AUTH PLAIN {plain('app', key)}\nS: 235 2.7.0\nC: MAIL FROM:<>\nS: 250 2.1.0")


def test_auth_plain_without_one(door, key):
    play(door.dial(), f"C: auth plain\nS: 334\nC: {plain('app', key)}\nS: 235 2.7.0")


def test_auth_login(door, key):
    play(
        door.dial(),
        f"C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: {b64('app')}\nS: 334 UGFzc3dvcmQ6\nC: {b64(key)}\nS: 235 2.7.0",
    )


def test_auth_login_with_an_initial_response(door, key):
    play(door.dial(), f"C: AUTH LOGIN {b64('app')}\nS: 334 UGFzc3dvcmQ6\nC: {b64(key)}\nS: 235 2.7.0")


def test_any_user_name_will_do_and_an_equal_authorization_identity(door, key):
    assert door.dial(key=key, user="Jürgen Müller <x>").submit()[0] == 250
    both = base64.b64encode(f"app\0app\0{key}".encode()).decode()
    assert door.dial().ask(f"AUTH PLAIN {both}")[0] == 235
    other = base64.b64encode(f"boss\0app\0{key}".encode()).decode()
    assert door.dial().ask(f"AUTH PLAIN {other}")[0] == 535


def test_i04_what_is_no_response(door, key):
    play(
        door.dial(),
        f"""
        C: AUTH
        S: 504 5.5.4
        C: AUTH CRAM-MD5
        S: 504 5.5.4
        C: AUTH PLAIN
        S: 334
        C: *
        S: 501 5.7.0
        C: AUTH LOGIN
        S: 334
        C: *
        S: 501 5.7.0
        C: AUTH PLAIN @@@@
        S: 501 5.5.2
        C: AUTH PLAIN {plain("app", key)[:-2]}x
        S: 501 5.5.2
        C: AUTH PLAIN =
        S: 501 5.5.2
        C: AUTH PLAIN {b64("app")}
        S: 501 5.5.2
        C: AUTH PLAIN {b64(f"{chr(0)}{chr(0)}{key}")}
        S: 501 5.5.2
        C: AUTH PLAIN {b64(f"{chr(0)}app{chr(0)}{key}{chr(0)}x")}
        S: 501 5.5.2
        C: AUTH LOGIN {b64("app")}
        S: 334
        C: {b64(key + chr(0))}
        S: 501 5.5.2
        C: AUTH PLAIN {base64.b64encode(b"{chr(0)}app{chr(0)}" + bytes([0xE9])).decode()}
        S: 501 5.5.2
        C: AUTH PLAIN {plain("app", key)}
        S: 235 2.7.0
        C: AUTH PLAIN {plain("app", key)}
        S: 503 5.5.1
        """,
    )


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
@pytest.mark.parametrize("ending", [r"\n", r"\r\r\n"])
def test_i04_behind_a_response_that_is_no_line_commands_are_commands_again(door, mechanism, ending):
    play(
        door.dial(),
        rf"""
        C: AUTH {mechanism}
        S: 334
        C- {b64("app")}{ending}
        S: 501 5.5.2
        C: NOOP
        S: 250 2.0.0
        """,
    )


def test_i04_a_response_of_12_kilobytes_is_refused(door, key):
    line = door.dial()
    assert line.ask("AUTH PLAIN")[0] == 334
    code, text = line.ask(base64.b64encode(b"\0" * 9_000).decode())
    assert (code, text[:5]) == (500, "5.5.6")
    assert line.closed()
    line = door.dial()
    assert line.ask("AUTH PLAIN")[0] == 334
    assert line.ask("A" * 1_500)[0] == 500  # within the line limit the session goes on
    assert line.sign_in(key) == 235


def test_i04_auth_within_a_transaction_and_before_ehlo(open_door):
    line = open_door(trust=(ip_network("127.0.0.0/8"),)).dial(greeted=False)
    play(
        line,
        """
        S: 220
        C: AUTH PLAIN
        S: 503 5.5.1 Say EHLO first
        C: EHLO client.example
        S: 250
        C: MAIL FROM:<>
        S: 250
        C: AUTH PLAIN
        S: 503 5.5.1 Not within a transaction
        C: RSET
        S: 250
        C: AUTH PLAIN
        S: 334
        """,
    )


@pytest.mark.parametrize("behind", ["MAIL FROM:<>", b64("app"), plain("app", "x")])
def test_i04_what_is_pipelined_behind_auth_is_never_read(door, behind):
    line = door.dial()
    code, text = line.ask(f"AUTH LOGIN\r\n{behind}")
    assert (code, text[:5]) == (554, "5.5.0")
    assert line.reply() == (0, "")


BEHIND = f"AUTH PLAIN {plain('app', 'x')}\r\nMAIL FROM:<>\r\n".encode()


@pytest.mark.parametrize("cut", range(1, len(BEHIND)))
@pytest.mark.parametrize("taken", [True, False])
def test_i04_what_follows_auth_before_its_answer_is_never_read_however_it_is_cut(cut, taken):
    dialogue, _ = far_dialogue("127.0.0.1")
    effects = dialogue.receive(BEHIND[:cut]) + dialogue.receive(BEHIND[cut:])
    if any(isinstance(effect, Authenticate) for effect in effects):
        effects += dialogue.signed_in(ApiKey()) if taken else dialogue.sign_in_refused(answers.AUTH_FAILED)
    assert said(effects).startswith("554 5.5.0 ")
    assert said(effects).count("\r\n") == 1
    assert isinstance(effects[-1], Close)


@pytest.mark.parametrize("response", [plain("app", "x"), "*", "@@@@"])
def test_i04_what_follows_a_response_in_the_same_write_is_never_read(door, response):
    line = door.dial()
    assert line.ask("AUTH PLAIN")[0] == 334
    code, text = line.ask(f"{response}\r\nMAIL FROM:<>")
    assert (code, text[:5]) == (554, "5.5.0")
    assert line.reply() == (0, "")


def test_i04_far_peers_sign_in_only_under_tls():
    dialogue, hello = far_dialogue()
    assert "AUTH" not in hello
    missing = "Signing in needs TLS, for which this listener has no certificate\r\n"
    assert said(dialogue.receive(b"AUTH PLAIN AGEAYQ==\r\n")) == f"538 5.7.11 {missing}"
    assert said(dialogue.receive(b"MAIL FROM:<>\r\n")) == f"530 5.7.0 {missing}"
    assert said(dialogue.receive(b"STARTTLS\r\n")).startswith("502 5.5.1 ")


def test_a_far_peer_is_offered_starttls_and_auth_behind_it():
    dialogue, hello = far_dialogue(tls=the_certificate().context)
    assert "STARTTLS" in hello
    assert "AUTH" not in hello
    assert said(dialogue.receive(b"AUTH PLAIN AGEAYQ==\r\n")).startswith("538 5.7.11 Say STARTTLS first")
    assert said(dialogue.receive(b"MAIL FROM:<>\r\n")).startswith("530 5.7.0 Say STARTTLS first")
    assert said(dialogue.receive(b"STARTTLS\r\n")).startswith("220 2.0.0 ")
    assert dialogue.secured() == []
    hello = said(dialogue.receive(b"EHLO far.example\r\n"))
    assert "AUTH PLAIN LOGIN" in hello
    assert "STARTTLS" not in hello
    assert said(dialogue.receive(b"MAIL FROM:<>\r\n")).startswith("530 5.7.0 Sign in first")
    assert said(dialogue.receive(b"STARTTLS\r\n")).startswith("503 5.5.1 ")


@pytest.mark.parametrize(
    ("address", "trusted"),
    [("192.168.1.9", True), ("::ffff:192.168.1.9", True), ("192.168.2.9", False), ("fd00::9", False)],
)
def test_only_peers_of_a_trusted_network_need_no_auth(address, trusted):
    dialogue, _ = far_dialogue(address, trust=(ip_network("192.168.1.0/24"),))
    answer = said(dialogue.receive(b"MAIL FROM:<a@example.org>\r\n"))
    assert answer.startswith("250 " if trusted else "530 5.7.0 ")


def test_nobody_gets_as_far_as_content_without_signing_in(door):
    line = door.dial()
    assert line.ask("MAIL FROM:<a@example.org>")[0] == 530
    assert line.ask("RCPT TO:<b@example.net>")[0] == 503
    assert line.ask("DATA")[0] == 503
    assert Message.objects.count() == 0


def test_i05_the_third_wrong_key_ends_the_session(door, key):
    line = door.dial()
    assert [line.sign_in(f"vgm_{number}") for number in range(3)] == [535, 535, 535]
    code, text = line.reply()
    assert (code, text[:5]) == (421, "4.7.0")
    assert line.reply() == (0, "")


def test_i05_two_wrong_ones_are_forgiven(door, key):
    line = door.dial()
    assert [line.sign_in("wrong"), line.sign_in("wrong"), line.sign_in(key)] == [535, 535, 235]


def test_i05_unknown_and_wrong_keys_take_the_same_time(key):
    wrong, unknown = key[:-4] + "AAAA", "vgm_000000000000_" + "A" * 43
    times = {wrong: [], unknown: []}
    for _ in range(200):
        for text, taken in times.items():
            begun = time.thread_time()  # what neighbours take is not counted
            found = sign_in(Credentials("app", Secret(text)), Peer.at(FAR), timezone.now())
            taken.append(time.thread_time() - begun)
            assert isinstance(found, Denied)
            assert found.reply is answers.AUTH_FAILED
    # The quickest of each: neighbours on the machine slow down the others.
    least, most = sorted(min(values) for values in times.values())
    # Reading a row that is there takes some microseconds more; a tenth of a round trip tells nothing.
    assert most - least < 0.000_2


def test_a_key_without_the_scope_or_from_another_network_is_refused(door):
    assert door.dial().sign_in(new_key(scopes=("read", "admin"))[1]) == 535
    assert door.dial().sign_in(new_key(networks=("192.0.2.0/24",))[1]) == 535
    assert door.dial().sign_in(new_key(networks=("192.0.2.0/24", "127.0.0.0/8"))[1]) == 235


def test_a_revoked_key_ends_at_its_next_message(door, key):
    line = door.dial(key=key)
    assert line.submit()[0] == 250
    keys.revoke(str(keys.all_keys()[0].uid), "cli:tests", timezone.now())
    code, text = line.submit()
    assert (code, text) == (550, "5.7.1 The API key has been revoked")
    assert Message.objects.count() == 1
    assert door.dial().sign_in(key) == 535


def test_the_user_name_after_the_last_plus_names_the_stream(door, key):
    message, _ = stored(door.dial(key=key, user="app+x+invoices").submit())
    assert message.stream.key == "invoices"
    message, _ = stored(door.dial(key=key, user="app").submit())
    assert message.stream is None


def test_a_header_names_another_stream_than_the_user_name(door, key):
    line = door.dial(key=key, user="app+invoices")
    message, _ = stored(line.submit(b"X-Vaguemestre-Stream: reports\r\n" + MESSAGE))
    assert message.stream.key == "reports"


def test_an_unknown_stream_is_refused_with_its_name(door, key):
    code, text = door.dial(key=key, user="app+nothing").submit()
    assert (code, text) == (550, "5.7.1 There is no stream nothing.")


def test_a_key_is_held_to_its_streams_and_senders(door):
    _, text = new_key(streams=("invoices",), senders=("app@example.org",))
    assert door.dial(key=text).submit()[0] == 550
    line = door.dial(key=text, user="app+invoices")
    assert line.submit()[0] == 250
    code, why = line.submit(MESSAGE.replace(b"app@", b"boss@"))
    assert (code, why) == (553, "5.7.1 This key may not send as boss@example.org.")
    code, why = line.submit(b"Sender: boss@example.org\r\n" + MESSAGE)
    assert (code, why[:43]) == (553, "5.7.1 This key may not send as boss@example")
    code, why = line.submit(MESSAGE.replace(b"app@", b"boss@example.org:app@"))
    assert (code, why[:48]) == (550, "5.6.0 The header From holds a group of addresses")


@pytest.mark.parametrize("stream", ["€" * 600, "x" * 600, "été", "\U0001f4ee" * 90])
def test_an_answer_is_a_line_of_ascii_whatever_it_repeats(door, key, stream):
    line = door.dial(key=key)
    line.envelope()
    line.write(f"X-Vaguemestre-Stream: {stream}\r\n".encode() + MESSAGE + b".\r\n")
    code, text = line.reply()  # of 512 octets at most: `Line` looks at each
    assert code == 550
    assert text.isascii()
    assert text.startswith("5.7.1 There is no stream ")
    assert text.endswith("..." if len(stream) > 3 else r" \u{e9}t\u{e9}.")


def test_a_trusted_peer_submits_without_a_key_and_may_still_sign_in(open_door, key):
    door = open_door(trust=(ip_network("127.0.0.0/8"),))
    message, _ = stored(door.dial().submit())
    assert message.submitter is None
    message, _ = stored(door.dial(key=key).submit())
    assert message.submitter is not None


def test_no_secret_and_no_content_enters_the_log(door, key):
    with structlog.testing.capture_logs() as events:
        line = door.dial()
        line.sign_in("vgm_wrong-canary-1")
        line.sign_in(key)
        line.submit(MESSAGE + b"canary-2\r\n")
        line.submit(b"canary-3\r\n")
    assert [event["event"] for event in events] == ["sign_in_refused", "messages_taken", "message_refused"]
    assert "canary" not in str(events)
    assert key not in str(events)


def test_credentials_have_no_repr_of_the_key():
    dialogue, _ = far_dialogue("127.0.0.1")
    effects = dialogue.receive(b"AUTH PLAIN AGFwcABjYW5hcnk=\r\n")
    assert isinstance(effects[0], Authenticate)
    assert effects[0].credentials.key.reveal() == "canary"
    assert "canary" not in repr(effects)
    assert not any(isinstance(effect, Handover) for effect in effects)


def test_starttls_forgets_who_signed_in(open_door, key):
    door = open_door(certificate=the_certificate())
    line = door.dial(key=key)
    assert line.ask("STARTTLS")[0] == 220
    line.secure(the_authority())
    assert line.ask("EHLO client.example")[0] == 250
    assert line.ask("MAIL FROM:<>")[0] == 530


def test_i06_a_key_is_held_to_its_senders_at_mail_too(door):
    _, text = new_key(senders=("app@example.org", "*@shop.example"))
    line = door.dial(key=text)
    for path in ("<boss@example.org>", "<app@other.example>", "<app@example.org.evil.example>"):
        code, why = line.ask(f"MAIL FROM:{path}")
        assert (code, why[:6]) == (553, "5.7.1 ")
        assert line.ask("RCPT TO:<to@example.net>")[0] == 503
    for path in ("<app@example.org>", "<APP@EXAMPLE.ORG>", "<orders@shop.example>", "<>"):
        assert line.ask(f"MAIL FROM:{path}")[0] == 250
        assert line.ask("RSET")[0] == 250
