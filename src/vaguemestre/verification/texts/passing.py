"""Findings about being let through once the server knows us: sender, addresses, limits.

What, why and remedy of each.
"""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.finding import FindingCode
from vaguemestre.verification.texts.text import Text

PASSING = {
    FindingCode.SENDER_REFUSED: Text(
        gettext_noop("%(host)s does not let you send as %(sender)s"),
        gettext_noop("We were let in, but this account may not use that address as sender."),
        gettext_noop(
            "Put the address that belongs to the login under “Sender email”. Or ask your provider to allow "
            "this account to send as %(sender)s."
        ),
    ),
    FindingCode.SENDER_DOMAIN_UNKNOWN: Text(
        gettext_noop("The domain of %(sender)s is not found"),
        gettext_noop(
            "The server looked up the part behind the @ in the internet’s directory of names (DNS), and it "
            "is not there, or has no mail server."
        ),
        gettext_noop(
            "Check “Sender email” letter by letter. If it is right, whoever looks after that domain name has "
            "to publish it: an MX record, or at least an address."
        ),
    ),
    FindingCode.SENDER_NEEDS_SMTPUTF8: Text(
        gettext_noop("%(host)s does not take the address %(sender)s"),
        gettext_noop(
            "It has a letter such as é or ü before the @, and this server does not know such addresses "
            "(SMTPUTF8)."
        ),
        gettext_noop(
            "Put an address with plain letters before the @ under “Sender email”, or use a server that "
            "takes such addresses."
        ),
    ),
    FindingCode.SMTPUTF8_NOT_OFFERED: Text(
        gettext_noop("%(host)s does not take addresses with letters such as é or ü"),
        gettext_noop(
            "An address of the message has such a letter before the @, and this server does not know such "
            "addresses (SMTPUTF8)."
        ),
        gettext_noop(
            "Write to another address of that person, or ask your provider for a server that takes such "
            "addresses."
        ),
    ),
    FindingCode.MESSAGE_TOO_LARGE: Text(
        gettext_noop("The message is too large for %(host)s"),
        gettext_noop("It is larger than what the server takes; attachments grow by a third on their way."),
        gettext_noop(
            "Make the attachments smaller or send a link to them. Or ask your provider to take larger "
            "messages."
        ),
    ),
    FindingCode.ADDRESS_NOT_LISTED: Text(
        gettext_noop("%(host)s does not know the address we come from"),
        gettext_noop(
            "The server only serves addresses on its list, and ours is not there. A login does not help "
            "against that."
        ),
        gettext_noop(
            "Give whoever runs the server the list of the page “Source IP addresses (whitelist)” and ask "
            "them to let these addresses in. Then verify again."
        ),
    ),
    FindingCode.ADDRESS_ON_BLOCKLIST: Text(
        gettext_noop("%(host)s finds our address on a blocklist"),
        gettext_noop(
            "There are public lists of addresses that spam came from, and ours, or that of a whole network, "
            "is on one. Your login has nothing to do with it."
        ),
        gettext_noop(
            "The server’s answer mostly names the list: whoever runs this installation asks there to be "
            "removed, after looking for the cause. Many servers check no list on port 587 or 465."
        ),
    ),
    FindingCode.ADDRESS_WITHOUT_NAME: Text(
        gettext_noop("%(host)s wants our address to have a name"),
        gettext_noop(
            "Addresses of mail servers have a name in the internet’s directory (reverse DNS, PTR) that leads "
            "back to them. Ours has none, or another."
        ),
        gettext_noop(
            "Whoever runs this installation asks its hosting or internet provider to set the reverse DNS of "
            "the address. Ports 587 and 465, with a login, seldom ask for it."
        ),
    ),
    FindingCode.RELAY_DENIED: Text(
        gettext_noop("%(host)s does not carry our mail to others"),
        gettext_noop(
            "It takes us for strangers: either we should sign in, or this server only receives mail for its"
            " own organisation."
        ),
        gettext_noop(
            "Fill in “SMTP login” and “SMTP password”, and check that this is the server for outgoing mail."
            " A server without login has to know our addresses: give its administrator the list of the page"
            " “Source IP addresses (whitelist)”."
        ),
    ),
    FindingCode.TOO_MANY_CONNECTIONS: Text(
        gettext_noop("This account has too many sessions open at %(host)s"),
        gettext_noop(
            "The provider allows only a few at the same time, and they are taken, by Vaguemestre or by "
            "another program."
        ),
        gettext_noop(
            "Verify again in a minute. If it comes back, put a smaller number in “Sessions at once” (Limits)."
        ),
    ),
    FindingCode.MICROSOFT_TOO_MANY_CONNECTIONS: Text(
        gettext_noop("This mailbox has too many sessions open at Microsoft"),
        gettext_noop(
            "Microsoft 365 allows 3 at the same time for a mailbox, and they are taken, by Vaguemestre or by "
            "another program."
        ),
        gettext_noop(
            "Put 3 or less in “Sessions at once” (Limits), less if other programs use the mailbox too. Then "
            "verify again in a minute."
        ),
    ),
    FindingCode.DAILY_LIMIT: Text(
        gettext_noop("The account has sent all it may at %(host)s today"),
        gettext_noop(
            "The provider counts messages or recipients over a day, and the count is used up. Your settings "
            "are right."
        ),
        gettext_noop(
            "Wait: no message is lost meanwhile, and it clears within 24 hours. If it happens often, enter "
            "the provider’s figure under “Limits”, or ask for a higher one."
        ),
    ),
    FindingCode.RATE_LIMITED: Text(
        gettext_noop("The account has reached a limit of %(host)s"),
        gettext_noop(
            "The provider counts messages or logins over a minute or an hour, and the count is used up for "
            "now."
        ),
        gettext_noop(
            "Wait: it clears by itself, and no message is lost meanwhile. If it happens often, enter the "
            "provider’s figures under “Limits”, or ask for a higher one."
        ),
    ),
    FindingCode.SERVICE_CLOSING: Text(
        gettext_noop("%(host)s has closed its counter for now"),
        gettext_noop(
            "The server ended the dialogue by itself, for maintenance or because it has too much to do. "
            "Your settings are not to blame."
        ),
        gettext_noop("Verify again in a few minutes. If it lasts for hours, tell your provider."),
    ),
    FindingCode.TEMPORARILY_REFUSED: Text(
        gettext_noop("%(host)s says: not now"),
        gettext_noop("The server asks us to try later. Your settings may well be right."),
        gettext_noop(
            "Verify again in a few minutes. If it lasts for hours, show your provider the server’s answer."
        ),
    ),
    FindingCode.COMMAND_REFUSED: Text(
        gettext_noop("%(host)s refuses something quite ordinary"),
        gettext_noop(
            "The server declined a step that every mail server knows. Its answer says why, if anything does."
        ),
        gettext_noop("Show your provider the server’s answer and the steps of this verification."),
    ),
}
