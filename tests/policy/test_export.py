"""The whitelist in each form, as whoever gets it has to paste it."""

import subprocess
from datetime import date

import pytest

from vaguemestre.policy.export import Form, exported
from vaguemestre.policy.whitelist import Entry

TODAY = date(2026, 11, 27)
LIST = [
    Entry("203.0.113.7", 'Paris"; Remove-Mailbox *'),
    Entry("2001:db8::7"),
    Entry("203.0.113.8", valid_until=TODAY),
    Entry("203.0.113.9", valid_from=date(2026, 12, 1)),
    Entry("203.0.113.6", valid_until=date(2026, 11, 26)),
]
LATER = "# from 2026-12-01: 203.0.113.9"


@pytest.mark.parametrize(
    ("form", "text"),
    [
        (Form.PLAIN, "203.0.113.7\n2001:db8::7\n203.0.113.8"),
        (Form.CIDR, "203.0.113.7/32\n2001:db8::7/128\n203.0.113.8/32"),
        (Form.SPF, "ip4:203.0.113.7 ip6:2001:db8::7 ip4:203.0.113.8"),
        (
            Form.NFTABLES,
            (
                f"{LATER}\n"
                "define mail_sources_4 = { 203.0.113.7, 203.0.113.8 }\n"
                "# in the input chain: ip saddr $mail_sources_4 tcp dport { 25, 465, 587 } accept\n"
                "define mail_sources_6 = { 2001:db8::7 }\n"
                "# in the input chain: ip6 saddr $mail_sources_6 tcp dport { 25, 465, 587 } accept"
            ),
        ),
        (
            Form.POSTFIX,
            (
                "# These may send to anywhere without a login. Keep what your mynetworks holds besides.\n"
                f"{LATER}\n"
                "mynetworks = 127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128"
                " 203.0.113.7/32 203.0.113.8/32 [2001:db8::7]/128"
            ),
        ),
        (
            Form.MICROSOFT365,
            (
                f"{LATER}\n"
                "Connect-ExchangeOnline\n"
                "# The first time:\n"
                'New-InboundConnector -Name "Vaguemestre" -ConnectorType OnPremises -SenderDomains *'
                " -SenderIPAddresses 203.0.113.7,203.0.113.8 -RequireTls $true -Enabled $true\n"
                "# Later, when the list has changed:\n"
                'Set-InboundConnector -Identity "Vaguemestre" -SenderIPAddresses 203.0.113.7,203.0.113.8'
            ),
        ),
    ],
)
def test_what_is_in_use_is_exported_and_what_comes_later_is_at_most_a_comment(form, text):
    assert exported(form, LIST, TODAY) == text


@pytest.mark.parametrize("form", list(Form))
def test_a_list_with_nothing_in_use_exports_nothing(form):
    assert exported(form, [LIST[3]], TODAY) == ""


def test_a_connector_of_microsoft_takes_no_ipv6_address_and_is_not_offered_one():
    assert exported(Form.MICROSOFT365, [Entry("2001:db8::7")], TODAY) == (
        "# Connectors of Microsoft 365 take IPv4 addresses only, and there is none."
    )


@pytest.mark.needs("postconf")
def test_postfix_itself_reads_its_export(tmp_path):
    settings = "compatibility_level = 3.6\n" + exported(Form.POSTFIX, LIST, TODAY) + "\n"
    (tmp_path / "main.cf").write_text(settings)
    (tmp_path / "master.cf").touch()
    read = subprocess.run(
        ["/usr/sbin/postconf", "-c", tmp_path, "-h", "mynetworks"], capture_output=True, text=True, check=True
    )
    assert read.stderr == ""
    assert read.stdout.split()[3:] == ["203.0.113.7/32", "203.0.113.8/32", "[2001:db8::7]/128"]
