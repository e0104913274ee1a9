"""Mistakes of the environment: each is named at its variable, before anything starts."""

import pytest

from scripted.certificates import self_signed, the_authority, the_certificate
from vaguemestre.environment import read_environment
from vaguemestre.mail.secret import Secret
from vaguemestre.signing import SigningKey

CERTIFICATE = "VAGUEMESTRE_SUBMISSION_CERTIFICATE"
KEY = "VAGUEMESTRE_SUBMISSION_KEY"
TLS = "VAGUEMESTRE_SUBMISSION_TLS_BIND"
ROOTS = "VAGUEMESTRE_EXTRA_ROOTS"


def problems(**variables):
    return [str(problem) for problem in read_environment(variables).problems]


def ours(**variables):
    return problems(**{f"VAGUEMESTRE_{name}": value for name, value in variables.items()})


@pytest.fixture
def text(tmp_path):
    """A file that is no PEM."""
    path = tmp_path / "text"
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    return path


@pytest.fixture
def locked_key(tmp_path):
    """The certificate's key under a password."""
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key(the_certificate().key, None)
    path = tmp_path / "locked.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    return path


@pytest.mark.parametrize(
    ("web", "submission", "meet"),
    [
        ("127.0.0.1:9000", "127.0.0.1:9000", True),
        ("0.0.0.0:9000", "127.0.0.1:9000", True),
        ("127.0.0.1:9000", "[::]:9000", True),
        ("127.0.0.1:9000", "127.0.0.2:9000", False),
        ("127.0.0.1:9000", "127.0.0.1:9001", False),
        ("127.0.0.1:0", "127.0.0.1:0", False),
    ],
)
def test_two_binds_that_meet_are_refused(web, submission, meet):
    said = f"VAGUEMESTRE_SUBMISSION_BIND: {submission} meets VAGUEMESTRE_WEB_BIND ({web}): give another port."
    assert ours(WEB_BIND=web, SUBMISSION_BIND=submission) == ([said] if meet else [])


def test_tls_from_the_first_byte_needs_a_certificate_and_so_does_a_key(text):
    needs = f"It needs {CERTIFICATE} as well."
    assert problems(**{TLS: "127.0.0.1:4650", KEY: str(text)}) == [f"{KEY}: {needs}", f"{TLS}: {needs}"]


def test_a_certificate_that_is_none_is_named(text):
    assert problems(**{CERTIFICATE: str(text)}) == [
        f"{CERTIFICATE}: {text} is not a PEM file with a certificate chain."
    ]
    assert problems(**{CERTIFICATE: "/nowhere", TLS: "127.0.0.1:4650"}) == [
        f"{CERTIFICATE}: The file /nowhere cannot be read: No such file or directory."
    ]


def test_a_key_that_is_none_or_another_ones_or_has_a_password_is_named(tmp_path, text, locked_key):
    chain, key = the_certificate().write(tmp_path)
    other = tmp_path / "other.pem"
    other.write_bytes(self_signed().key)
    wanted = "is not a PEM file with the key of that certificate, without a password."
    assert problems(**{CERTIFICATE: str(chain), KEY: str(key), TLS: "127.0.0.1:4650"}) == []
    assert problems(**{CERTIFICATE: str(chain)}) == [f"{CERTIFICATE}: {chain} {wanted}"]
    for wrong in (text, other, locked_key):
        assert problems(**{CERTIFICATE: str(chain), KEY: str(wrong)}) == [f"{KEY}: {wrong} {wanted}"]


def test_authorities_that_are_none_are_named(tmp_path, text):
    assert problems(**{ROOTS: str(the_authority().write(tmp_path))}) == []
    assert problems(**{ROOTS: str(text)}) == [f"{ROOTS}: {text} is not a PEM file with certificates."]
    assert problems(**{ROOTS: str(tmp_path)}) == [
        f"{ROOTS}: The file {tmp_path} cannot be read: Is a directory."
    ]


@pytest.mark.parametrize("network", ["0.0.0.0/8", "198.18.0.0/15", "10.0.0.0/7", "100.64.0.0/10", "2000::/3"])
def test_i06_a_network_beyond_the_private_ranges_is_never_trusted(network):
    assert ours(SUBMISSION_TRUST=network) == [
        "VAGUEMESTRE_SUBMISSION_TRUST: Give private networks separated by commas, such as 192.168.1.0/24."
    ]
    assert ours(SUBMISSION_TRUST="192.168.7.0/24,fd00:1::/64,127.0.0.1/32") == []


@pytest.mark.parametrize("name", ["BASE_URL", "ALERT_URL"])
@pytest.mark.parametrize("text", ["nowhere", "ftp://example.org", "https://", "http://[", "http://a:port"])
def test_an_address_of_the_web_that_is_none_is_named(name, text):
    (said,) = ours(**{name: text})
    assert said.startswith(f"VAGUEMESTRE_{name}: Give a web address, such as https://")
    assert ours(**{name: "https://mail.example.org/x"}) == []


@pytest.mark.parametrize(
    "url", ["postgresql://me:a#b@host/name", "postgresql://me:x@host:port/name", "postgresql://[/x"]
)
def test_a_database_address_that_cannot_be_taken_apart_is_named_without_its_password(url):
    assert problems(DATABASE_URL=url) == [
        "DATABASE_URL: It cannot be read: write # and / of the password as %23 and %2F, and the port as a number."
    ]


def test_the_key_of_alerts_is_the_operators_or_follows_from_the_secret_key(tmp_path):
    key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    given = {"VAGUEMESTRE_DATA_DIR": str(tmp_path), "VAGUEMESTRE_SECRET_KEY": "k" * 32}
    assert read_environment(given | {"VAGUEMESTRE_ALERT_SECRET": key}).alert_key.written == key
    assert read_environment(given).alert_key == SigningKey.derived(Secret("k" * 32))
    assert read_environment({"VAGUEMESTRE_DATA_DIR": str(tmp_path)}).alert_key is None
    assert ours(ALERT_SECRET="kanarienvogel") == [
        "VAGUEMESTRE_ALERT_SECRET: Give whsec_ and base64 of 24 to 64 random bytes."
    ]


def test_every_source_address_that_is_none_is_named():
    assert ours(SOURCE_ADDRESSES="foo, 192.0.2.7,192.0.2.300") == [
        "VAGUEMESTRE_SOURCE_ADDRESSES: Give IP addresses separated by commas; none is foo, 192.0.2.300."
    ]


def test_a_name_that_looks_like_ours_and_is_none_is_refused(tmp_path):
    assert ours(EGRES_ALLOW="10.0.0.0/8", DATABASE_URL="x", NONSENSE_THROUGHOUT="1", EMPTY_ONE="") == [
        "VAGUEMESTRE_EGRES_ALLOW: There is no such variable; VAGUEMESTRE_EGRESS_ALLOW is one.",
        "VAGUEMESTRE_DATABASE_URL: There is no such variable; DATABASE_URL is one.",
        "VAGUEMESTRE_NONSENSE_THROUGHOUT: There is no such variable.",
    ]
    (tmp_path / ".env").write_text("VAGUEMESTRE_LANGAUGE=en\n")
    assert ours(DATA_DIR=str(tmp_path)) == [
        "VAGUEMESTRE_LANGAUGE: There is no such variable; VAGUEMESTRE_LANGUAGE is one."
    ]


def test_what_a_cluster_sets_for_a_service_of_that_name_is_no_mistake():
    assert (
        ours(
            SERVICE_HOST="10.1.2.3",
            SERVICE_PORT="8587",
            SERVICE_PORT_HTTP="8587",
            PORT="tcp://10.1.2.3:8587",
            WEB_PORT="tcp://10.1.2.3:8587",
            PORT_8587_TCP="tcp://10.1.2.3:8587",
            PORT_8587_TCP_ADDR="10.1.2.3",
        )
        == []
    )
    assert ours(WEB_PORT="8587") != []


def test_files_of_the_environment_that_are_no_text_are_no_traceback(tmp_path):
    (tmp_path / ".env").write_bytes(b"VAGUEMESTRE_LANGUAGE=en\n\xff=\xff\n")
    (tmp_path / "vault.key").write_bytes(b"\xff" * 40)
    assert ours(DATA_DIR=str(tmp_path)) == [
        f".env: Line 2 of {tmp_path}/.env is not NAME=value.",
        "VAGUEMESTRE_VAULT_KEYS: Each key is 32 random bytes in base64.",
    ]
    assert read_environment({"VAGUEMESTRE_DATA_DIR": str(tmp_path)}).language == "en"


def test_resolvers_are_addresses_with_a_port_of_their_own_where_said():
    found = read_environment({"VAGUEMESTRE_RESOLVERS": "192.0.2.53, 2001:db8::53#5353"})
    assert (found.resolvers, found.problems) == ((("192.0.2.53", 53), ("2001:db8::53", 5353)), ())
    for wrong in ("dns.example.org", "192.0.2.53:53", "192.0.2.53#0"):
        assert ours(RESOLVERS=wrong) == [
            "VAGUEMESTRE_RESOLVERS: Give IP addresses of DNS servers, such as 9.9.9.9."
        ]


def test_a_web_server_is_asked_for_its_document_only_where_the_operator_says_yes():
    assert read_environment({}).autoconfig is False
    assert read_environment({"VAGUEMESTRE_AUTOCONFIG": "yes"}).autoconfig is True
    assert ours(AUTOCONFIG="1") == ["VAGUEMESTRE_AUTOCONFIG: Give yes or no."]


def test_trusted_proxies_are_networks_and_this_machine_unless_it_says_otherwise():
    assert ours(TRUSTED_PROXIES="proxy.example")[0].startswith("VAGUEMESTRE_TRUSTED_PROXIES: Give networks")
    assert [str(one) for one in read_environment({}).trusted_proxies] == ["127.0.0.0/8", "::1/128"]
    given = read_environment({"VAGUEMESTRE_TRUSTED_PROXIES": "10.1.0.5, 2001:db8::/64"}).trusted_proxies
    assert [str(one) for one in given] == ["10.1.0.5/32", "2001:db8::/64"]


def kept(tmp_path, text):
    (tmp_path / ".env").write_bytes(text)
    return ours(DATA_DIR=str(tmp_path))


def test_a_byte_order_mark_and_carriage_returns_hide_no_line(tmp_path):
    text = b"\xef\xbb\xbfDATABASE_URL=postgresql://me@host/name\r\nVAGUEMESTRE_LANGUAGE='en'\r\n"
    assert kept(tmp_path, text) == []
    found = read_environment({"VAGUEMESTRE_DATA_DIR": str(tmp_path)})
    assert (found.database_url.reveal(), found.language) == ("postgresql://me@host/name", "en")


def test_lines_that_are_no_assignment_are_told_by_their_number(tmp_path):
    text = b"# a note\n\nexport DATABASE_URL=postgresql://me@host/name\nVAGUEMESTRE_LANGUAGE: de\n"
    assert kept(tmp_path, text) == [f".env: Lines 3, 4 of {tmp_path}/.env are not NAME=value."]


def test_a_name_of_ours_in_small_letters_is_none_of_ours(tmp_path):
    assert kept(tmp_path, b"vaguemestre_language=en\n") == [
        "vaguemestre_language: There is no such variable; VAGUEMESTRE_LANGUAGE is one."
    ]


def test_only_a_pair_of_quotes_is_taken_off(tmp_path):
    assert kept(tmp_path, b"VAGUEMESTRE_SECRET_KEY=" + b"k" * 32 + b"'\n") == []
    assert read_environment({"VAGUEMESTRE_DATA_DIR": str(tmp_path)}).secret_key.reveal() == "k" * 32 + "'"


def test_a_file_of_variables_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / ".env").mkdir()
    assert ours(DATA_DIR=str(tmp_path)) == [
        f".env: The file {tmp_path}/.env is there but cannot be read: Is a directory."
    ]


def test_a_data_directory_cannot_name_another_one(tmp_path):
    assert kept(tmp_path, f"VAGUEMESTRE_DATA_DIR={tmp_path}\n".encode()) == []
    assert kept(tmp_path, b"VAGUEMESTRE_DATA_DIR=/var/lib/elsewhere\n") == [
        f"VAGUEMESTRE_DATA_DIR: It is read from the process alone, not from {tmp_path}/.env."
    ]


def test_a_secrets_file_that_is_empty_or_beside_the_secret_itself_is_no_usual_value(tmp_path):
    path = tmp_path / "url"
    path.write_bytes(b"\xef\xbb\xbf\r\n")
    assert problems(DATABASE_URL_FILE=str(path)) == [f"DATABASE_URL_FILE: The file {path} is empty."]
    path.write_bytes(b"\xef\xbb\xbfpostgresql://me@host/name\r\n")
    assert read_environment({"DATABASE_URL_FILE": str(path)}).database_url.reveal().endswith("host/name")
    assert problems(DATABASE_URL_FILE=str(path), DATABASE_URL="sqlite:///x") == [
        "DATABASE_URL_FILE: DATABASE_URL is set as well: take one of the two away."
    ]
