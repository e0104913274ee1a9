"""What, why and remedy of each point about a domain, as message ids; `%(name)s` are its facts."""

from __future__ import annotations

from django.utils.translation import gettext_noop

from vaguemestre.policy.deliverability import Code
from vaguemestre.verification.texts.text import Text

_LOOK_AGAIN = gettext_noop(
    "Look again in a few minutes. If it lasts, whoever looks after the domain’s DNS has to act."
)
_NOT_KNOWN = gettext_noop(
    "The directory of names (DNS) gave no answer in time, so that nothing can be said about it."
)

TEXTS: dict[Code, Text] = {
    Code.DOMAIN_UNKNOWN: Text(
        gettext_noop("There is no domain %(domain)s"),
        gettext_noop(
            "DNS does not know the domain of the sender. Receivers refuse mail from such an address."
        ),
        gettext_noop(
            "Compare the sender’s address letter by letter; if it is right, renew or register the domain."
        ),
    ),
    Code.DOMAIN_NOT_YOURS: Text(
        gettext_noop("%(domain)s belongs to %(owner)s, and the mail leaves through %(provider)s"),
        gettext_noop(
            "Only %(owner)s may say who sends for %(domain)s, and %(provider)s is not among them. Such "
            "mail is "
            "put aside or refused."
        ),
        gettext_noop("Send from an address of your own domain, or through %(owner)s."),
    ),
    Code.MX_OK: Text(
        gettext_noop("Answers reach the domain"),
        gettext_noop("Mail for %(domain)s is received by %(hosts)s."),
        "",
    ),
    Code.MX_MISSING: Text(
        gettext_noop("%(domain)s receives no mail"),
        gettext_noop(
            "It has no MX record, or one that says so. Answers and reports of failure are lost, and some "
            "receivers refuse mail that they could not answer."
        ),
        gettext_noop("Publish the MX records of whoever keeps your mailboxes."),
    ),
    Code.MX_UNKNOWN: Text(
        gettext_noop("Who receives mail for %(domain)s is not known just now"), _NOT_KNOWN, _LOOK_AGAIN
    ),
    Code.SPF_OK: Text(
        gettext_noop("SPF lets this server send"),
        gettext_noop("The record of %(domain)s covers %(provider)s (%(mechanism)s)."),
        "",
    ),
    Code.SPF_MISSING: Text(
        gettext_noop("%(domain)s has no SPF record"),
        gettext_noop(
            "It says which servers may send for a domain. Large providers put mail aside, or refuse it, "
            "without one."
        ),
        gettext_noop(
            "Publish one at the domain itself. If other servers send for %(domain)s too, such as your "
            "website "
            "or a newsletter, name them in the same record: there may be only one."
        ),
    ),
    Code.SPF_NOT_COVERING: Text(
        gettext_noop("SPF does not let %(provider)s send for %(domain)s"),
        gettext_noop(
            "The record names other servers only: %(record)s. Receivers see mail that nobody was allowed "
            "to send."
        ),
        gettext_noop("Replace the record by the one below: it is the same, with %(mechanism)s in it."),
    ),
    Code.SPF_SEVERAL: Text(
        gettext_noop("%(domain)s has more than one SPF record"),
        gettext_noop("Receivers then heed none of them: it counts as an error."),
        gettext_noop("Put what they say into one record, and remove the others."),
    ),
    Code.SPF_MALFORMED: Text(
        gettext_noop("The SPF record of %(domain)s cannot be read"),
        gettext_noop("Receivers stumble over “%(wrong)s” and heed nothing of the record."),
        gettext_noop("Correct that word; most often it is a slip of the keyboard."),
    ),
    Code.SPF_TOO_MANY_LOOKUPS: Text(
        gettext_noop("The SPF record of %(domain)s needs %(count)s lookups; ten are allowed"),
        gettext_noop(
            "Each include, a, mx, exists and redirect costs one, those of included records too. Beyond "
            "ten receivers give up."
        ),
        gettext_noop(
            "Remove what nobody uses any more, or replace an include of one server by its address (ip4:…)."
        ),
    ),
    Code.SPF_BROKEN_INCLUDE: Text(
        gettext_noop("The SPF record of %(domain)s includes %(include)s, which has no usable record"),
        gettext_noop("An include that is not there makes the whole record an error."),
        gettext_noop("Remove it, or correct its name."),
    ),
    Code.SPF_LOOP: Text(
        gettext_noop("The SPF record of %(domain)s includes %(include)s in a circle"),
        gettext_noop("Receivers go round until they give up, and heed nothing of the record."),
        gettext_noop(
            "Remove the include or redirect that leads back. What a record lists itself needs no include."
        ),
    ),
    Code.SPF_OPEN: Text(
        gettext_noop("The SPF record of %(domain)s lets everybody send"),
        gettext_noop(
            "It ends in +all: any machine in the world passes, and receivers trust the domain less."
        ),
        gettext_noop("End it with ~all, or -all once you are sure that it names every server."),
    ),
    Code.SPF_VOID_LOOKUPS: Text(
        gettext_noop("%(count)s lookups of the SPF record of %(domain)s find nothing"),
        gettext_noop("Receivers may give up at the third one."),
        gettext_noop("Remove the names that no longer exist."),
    ),
    Code.SPF_UNDECIDED: Text(
        gettext_noop("The SPF record of %(domain)s does not say what to do with others"),
        gettext_noop("Without ~all or -all at its end it protects the domain from nobody."),
        gettext_noop("End it with ~all, or -all once you are sure that it names every server."),
    ),
    Code.SPF_UNTOLD: Text(
        gettext_noop("Whether SPF covers this server cannot be told from here"),
        gettext_noop(
            "It is not known which servers %(provider)s sends from. The record of %(domain)s is: %(record)s."
        ),
        gettext_noop("Send yourself a test message and read what its receiver says about SPF."),
    ),
    Code.SPF_BY_MESSAGE: Text(
        gettext_noop("Whether SPF covers this server depends on each message"),
        gettext_noop(
            "The record has a term that receivers fill in for each message (%(term)s), so that it cannot be "
            "tried from here. The record of %(domain)s is: %(record)s."
        ),
        gettext_noop("Send yourself a test message and read what its receiver says about SPF."),
    ),
    Code.SPF_UNKNOWN: Text(
        gettext_noop("The SPF record of %(domain)s is not known just now"), _NOT_KNOWN, _LOOK_AGAIN
    ),
    Code.DKIM_OK: Text(
        gettext_noop("A DKIM key is published"),
        gettext_noop(
            "Selector “%(selector)s” has one; %(provider)s signs with it if it is switched on there."
        ),
        gettext_noop("A test message shows whether it does: DKIM has to be “pass” for %(domain)s."),
    ),
    Code.DKIM_NOT_FOUND: Text(
        gettext_noop("No DKIM key was found"),
        gettext_noop(
            "Under the selectors that are usual at %(provider)s (%(selectors)s) %(domain)s has no key. "
            "Yours may "
            "be named otherwise."
        ),
        gettext_noop(
            "Switch on DKIM for %(domain)s at %(provider)s: it shows the record to publish. It is what "
            "proves the "
            "sender when mail is forwarded."
        ),
    ),
    Code.DKIM_BROKEN: Text(
        gettext_noop("The DKIM key “%(selector)s” cannot be used"),
        gettext_noop("The record is withdrawn or cannot be read; signatures made with it fail."),
        gettext_noop(
            "Publish the record again just as %(provider)s shows it: often a piece of it was lost on the way."
        ),
    ),
    Code.DKIM_WEAK: Text(
        gettext_noop("The DKIM key “%(selector)s” is short: %(bits)s bits"),
        gettext_noop("Keys below 2048 bits are on their way out, and below 1024 receivers ignore them."),
        gettext_noop("Have %(provider)s make a new key of 2048 bits, and publish its record."),
    ),
    Code.DKIM_UNTOLD: Text(
        gettext_noop("Whether the mail is signed cannot be told from here"),
        gettext_noop("A DKIM key is found by its selector, and it is not known which one %(provider)s uses."),
        gettext_noop("Send yourself a test message and read what its receiver says about DKIM."),
    ),
    Code.DKIM_UNKNOWN: Text(
        gettext_noop("The DKIM keys of %(domain)s are not known just now"), _NOT_KNOWN, _LOOK_AGAIN
    ),
    Code.DMARC_OK: Text(
        gettext_noop("DMARC is published"),
        gettext_noop("The record at %(at)s asks for: %(policy)s."),
        "",
    ),
    Code.DMARC_UNPROVEN: Text(
        gettext_noop("DMARC asks to refuse or put aside what this connection sends"),
        gettext_noop(
            "The record at %(at)s says %(policy)s for mail that neither SPF nor DKIM prove to be of "
            "%(domain)s, and "
            "neither does, as far as can be seen."
        ),
        gettext_noop("See to SPF and DKIM first: one of the two has to speak for %(domain)s."),
    ),
    Code.DMARC_MISSING: Text(
        gettext_noop("%(domain)s has no DMARC record"),
        gettext_noop(
            "Large providers want one of everybody who sends many messages, and trust domains with one more."
        ),
        gettext_noop("Publish the record below. It asks for nothing yet; tighten it once your mail passes."),
    ),
    Code.DMARC_SEVERAL: Text(
        gettext_noop("There is more than one DMARC record at %(at)s"),
        gettext_noop("Receivers then heed none of them."),
        gettext_noop("Keep one, and remove the others."),
    ),
    Code.DMARC_MALFORMED: Text(
        gettext_noop("The DMARC record at %(at)s cannot be read"),
        gettext_noop("Receivers heed nothing of it."),
        gettext_noop("It starts with v=DMARC1; and then has p=none, p=quarantine or p=reject."),
    ),
    Code.DMARC_UNKNOWN: Text(
        gettext_noop("The DMARC record of %(domain)s is not known just now"), _NOT_KNOWN, _LOOK_AGAIN
    ),
}

# Behind the why of DMARC_OK: what speaks for the domain in From.
ALIGNED = gettext_noop("The sender is proven by: %(aligned)s.")
# Behind the why of SPF_NOT_COVERING: what would cover, and stands where nobody looks.
UNREAD = gettext_noop("What stands behind “all” counts for nothing: %(unread)s.")
