"""Findings about encryption: which kind, and whether the certificate can be trusted.

What, why and remedy of each.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

ENCRYPTION = {
    FindingCode.SSL_ON_STARTTLS_PORT: Text(
        gettext_noop("Port %(port)s does not take SSL"),
        gettext_noop(
            "SSL encrypts from the first moment. On this port the server starts in clear and switches over "
            "afterwards, which the form calls TLS."
        ),
        gettext_noop("Choose TLS under “Encryption” and keep port %(port)s. Or keep SSL and try port 465."),
    ),
    FindingCode.STARTTLS_ON_SSL_PORT: Text(
        gettext_noop("Port %(port)s wants SSL"),
        gettext_noop(
            "On this port the server encrypts from the first moment, and “%(chosen)s” is chosen under "
            "“Encryption”: each waits for the other."
        ),
        gettext_noop("Choose SSL under “Encryption” and keep port %(port)s. Or choose TLS and try port 587."),
    ),
    FindingCode.STARTTLS_NOT_OFFERED: Text(
        gettext_noop("%(host)s offers no encryption on port %(port)s"),
        gettext_noop(
            "TLS is chosen, and the server does not propose to switch over to it (STARTTLS). Neither login "
            "nor password was sent."
        ),
        gettext_noop(
            "Try SSL with port 465. If your provider has no encrypted port at all, think of another one: a "
            "password never leaves Vaguemestre in clear."
        ),
    ),
    FindingCode.STARTTLS_REFUSED: Text(
        gettext_noop("%(host)s offers encryption, then refuses it"),
        gettext_noop(
            "The server proposes to switch over (STARTTLS) and declines when asked. Neither login nor "
            "password was sent."
        ),
        gettext_noop(
            "Verify again in a few minutes, or try SSL with port 465. If it lasts, your provider has to see"
            " to the server’s encryption."
        ),
    ),
    FindingCode.ENCRYPTION_REQUIRED: Text(
        gettext_noop("%(host)s insists on encryption"),
        gettext_noop("“%(chosen)s” is chosen under “Encryption”, and the server takes no mail that way."),
        gettext_noop("Choose TLS with port 587, or SSL with port 465."),
    ),
    FindingCode.CERTIFICATE_EXPIRED: Text(
        gettext_noop("The certificate of %(host)s has expired"),
        gettext_noop(
            "The certificate is the server’s proof of identity, and this one is out of date. Neither login "
            "nor password was sent."
        ),
        gettext_noop(
            "Your provider has to renew it. There is nothing to change on this page: verify again afterwards."
        ),
    ),
    FindingCode.CERTIFICATE_NOT_YET_VALID: Text(
        gettext_noop("The certificate of %(host)s is not valid yet"),
        gettext_noop(
            "The server’s proof of identity only begins to count later: it was put in place too early, or "
            "this installation’s clock is slow. Neither login nor password was sent."
        ),
        gettext_noop(
            "Ask whoever runs this installation to check its clock. If the clock is right, your provider "
            "has to see to the certificate."
        ),
    ),
    FindingCode.CERTIFICATE_WRONG_NAME: Text(
        gettext_noop("The certificate shown is not that of %(host)s"),
        gettext_noop(
            "The server proves who it is, under another name than the one you typed. It may be its second "
            "name, or a stranger. Neither login nor password was sent."
        ),
        gettext_noop(
            "If your provider confirms one of these names, type it under “Server”. Otherwise they have to "
            "add %(host)s to the certificate."
        ),
    ),
    FindingCode.CERTIFICATE_UNKNOWN_AUTHORITY: Text(
        gettext_noop("Nobody we know vouches for %(host)s"),
        gettext_noop(
            "Its certificate comes from an authority that this installation does not know: an "
            "organisation’s own one, or a link of the chain is missing on the server. Neither login nor "
            "password was sent."
        ),
        gettext_noop(
            "If it is your own organisation’s server, ask its administrator whether the certificate shown is"
            " theirs. If it is, the button “Trust its authority” or “Trust exactly this certificate” on the "
            "connection’s page puts it under “Pinned certificate” (Advanced). Otherwise your provider has to"
            " install the complete chain."
        ),
    ),
    FindingCode.CERTIFICATE_SELF_SIGNED: Text(
        gettext_noop("%(host)s vouches for itself"),
        gettext_noop(
            "The server signed its own certificate, as anybody could. Neither login nor password was sent."
        ),
        gettext_noop(
            "Ask whoever runs the server whether this fingerprint is theirs. If it is, the button “Trust "
            "exactly this certificate” on the connection’s page puts it under “Pinned certificate” "
            "(Advanced). Better still, they install a certificate of a recognised authority; there are free "
            "ones."
        ),
    ),
    FindingCode.CERTIFICATE_CHANGED: Text(
        gettext_noop("%(host)s shows another certificate than the pinned one"),
        gettext_noop(
            "You asked for one certificate and no other. It may have been renewed; it may also be another "
            "server. Neither login nor password was sent."
        ),
        gettext_noop(
            "Ask whoever runs the server whether the certificate was renewed. If it was, the button “Trust "
            "exactly this certificate” on the connection’s page puts the new fingerprint under “Pinned "
            "certificate” (Advanced); if not, change nothing and tell them."
        ),
    ),
    FindingCode.CERTIFICATE_INTERCEPTED: Text(
        gettext_noop("Something between here and %(host)s shows its own certificate"),
        gettext_noop(
            "An antivirus program, a firewall or a proxy on this installation’s network opens the encrypted "
            "exchange to look inside. Neither login nor password was sent."
        ),
        gettext_noop(
            "Whoever runs this installation should exempt %(host)s, port %(port)s, from that inspection. If "
            "nobody knows of one, do not go on: somebody may be listening."
        ),
    ),
    FindingCode.CERTIFICATE_OTHER: Text(
        gettext_noop("The certificate of %(host)s cannot be trusted"),
        gettext_noop(
            "Something in it, or in the chain of those who vouch for it, is not in order. Neither login nor"
            " password was sent."
        ),
        gettext_noop(
            "Your provider has to see to the server’s certificate. There is nothing to change on this page."
        ),
    ),
    FindingCode.TLS_FAILED: Text(
        gettext_noop("No encrypted exchange came about with %(host)s"),
        gettext_noop(
            "Both sides tried to agree on encryption and did not manage. Neither login nor password was sent."
        ),
        gettext_noop(
            "Check that “Encryption” and “Port” belong together: 465 goes with SSL, 587 with TLS. If they "
            "do, your provider has to see to the server’s encryption."
        ),
    ),
    FindingCode.TLS_TOO_OLD: Text(
        gettext_noop("%(host)s only knows outdated encryption"),
        gettext_noop(
            "Its versions of TLS are older than 1.2 and protect no more. Neither login nor password was sent."
        ),
        gettext_noop(
            "Ask your provider for a server with TLS 1.2 or 1.3; many have had one for years, under another"
            " name."
        ),
    ),
}
