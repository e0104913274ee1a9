"""Findings about reaching the server, up to its greeting. What, why and remedy of each."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

REACHING = {
    FindingCode.OK: Text(
        gettext_noop("The connection works"),
        gettext_noop("%(host)s accepts the login, and %(sender)s as sender. No message was sent."),
        "",
    ),
    FindingCode.HOST_UNKNOWN: Text(
        gettext_noop("There is no server named %(host)s"),
        gettext_noop(
            "The internet’s directory of names (DNS) does not know it. Most often it is a slip of the "
            "keyboard."
        ),
        gettext_noop(
            "Compare “Server” letter by letter with what your provider wrote; it often looks like "
            "smtp.example.org or mail.example.org. It is neither an email address nor the web address of "
            "the webmail."
        ),
    ),
    FindingCode.LOOKUP_FAILED: Text(
        gettext_noop("The name %(host)s cannot be looked up just now"),
        gettext_noop("The internet’s directory of names (DNS) gave no answer. The name itself may be right."),
        gettext_noop(
            "Verify again in a few minutes. If it lasts, whoever looks after that domain name has to see to"
            " its DNS. If every name fails, it is this installation’s own network."
        ),
    ),
    FindingCode.ADDRESS_NOT_PERMITTED: Text(
        gettext_noop("This installation may not connect to %(host)s, port %(port)s"),
        gettext_noop(
            "For safety Vaguemestre only dials public addresses on the usual mail ports. Anything else "
            "needs the permission of whoever runs it."
        ),
        gettext_noop(
            "Check “Server” and “Port”. If both are right, ask whoever runs this installation to allow the "
            "address (VAGUEMESTRE_EGRESS_ALLOW) or the port (VAGUEMESTRE_EGRESS_PORTS)."
        ),
    ),
    FindingCode.REFUSED: Text(
        gettext_noop("%(host)s refuses the connection on port %(port)s"),
        gettext_noop(
            "The machine is there, but no mail service listens on this port, or a firewall turns us away."
        ),
        gettext_noop(
            "Check “Port”: 465 goes with SSL, 587 with TLS. If it is what your provider wrote, ask whether "
            "the service is running and lets in the addresses of the page “Source IP addresses "
            "(whitelist)”."
        ),
    ),
    FindingCode.NO_ANSWER: Text(
        gettext_noop("%(host)s does not answer on port %(port)s"),
        gettext_noop(
            "Nothing came back, neither a yes nor a no. A firewall on the way does that, here or there; so "
            "does a machine that is switched off."
        ),
        gettext_noop(
            "Check “Server” and “Port”. If both are right, whoever runs this installation should see "
            "whether its network lets port %(port)s out, and your provider whether it lets in the addresses"
            " of the page “Source IP addresses (whitelist)”."
        ),
    ),
    FindingCode.SOURCE_ADDRESS_UNUSABLE: Text(
        gettext_noop("%(host)s cannot be dialled from %(source_address)s"),
        gettext_noop(
            "The connection is told to leave from that local address. Either this machine does not have it, "
            "or the server has no address of the same family, IPv4 or IPv6."
        ),
        gettext_noop(
            "Under “Advanced”, empty “Local IP address”, or give one that the machine has; whoever runs this "
            "installation knows which."
        ),
    ),
    FindingCode.SILENT: Text(
        gettext_noop("%(host)s takes the call, then says nothing"),
        gettext_noop(
            "A mail server speaks first, and this one stayed silent. It may be overloaded, or expect "
            "encryption from the first moment."
        ),
        gettext_noop(
            "Check that “Encryption” and “Port” belong together: 465 goes with SSL, 587 with TLS. If they "
            "do, verify again in a few minutes, then ask your provider."
        ),
    ),
    FindingCode.NOT_SMTP: Text(
        gettext_noop("What answers at %(host)s, port %(port)s, does not send mail"),
        gettext_noop(
            "Another kind of service speaks there: a website perhaps, or a server for reading mail (IMAP, "
            "POP)."
        ),
        gettext_noop(
            "Ask your provider for the outgoing server, also called SMTP; its port is usually 465 or 587. "
            "Ports 143, 993, 110 and 995 are for reading mail."
        ),
    ),
    FindingCode.GREETING_BUSY: Text(
        gettext_noop("%(host)s is too busy just now"),
        gettext_noop("The server asks us to come back later. Your settings are not to blame."),
        gettext_noop("Verify again in a few minutes. If it lasts for hours, tell your provider."),
    ),
    FindingCode.GREETING_REJECTED: Text(
        gettext_noop("%(host)s turns us away at the door"),
        gettext_noop(
            "The server will not talk to us, even before the login: it takes no mail here, or does not want"
            " the address we come from."
        ),
        gettext_noop(
            "Check that this is your provider’s server for outgoing mail. If it is, give them the list of "
            "the page “Source IP addresses (whitelist)” and ask them to let these addresses in."
        ),
    ),
    FindingCode.EHLO_REFUSED: Text(
        gettext_noop("%(host)s does not accept how we introduce ourselves"),
        gettext_noop(
            "A dialogue starts with the name of this installation, and the server does not take that name, "
            "or does not know today’s protocol."
        ),
        gettext_noop(
            "Show your provider the server’s answer and ask which name they expect. Whoever runs this "
            "installation sets it with VAGUEMESTRE_BASE_URL."
        ),
    ),
}
