"""What a server's words mean where its code alone does not tell.

RFC 5321 and RFC 3463 leave a limit reached, a client that is not let in and a recipient that is unknown
under the same codes; servers tell them apart in their text. Each predicate here answers one question about a
`Reply`, for `verdict` (whom does it blame?) and `diagnosis` (what is to be done?). Patterns are of texts that
servers in use are known to send. A text that no pattern knows is nobody's: the failure table then goes by the
code.
"""

from __future__ import annotations

import ipaddress
import re
from enum import StrEnum

from vaguemestre.mail.reply import Reply


def any_of(*patterns: str) -> re.Pattern[str]:
    """A pattern that finds any of these, in capitals or not."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


# "too many recipients from 192.0.2.1", "... per hour"
_WINDOW = r"(?:\bfrom\b|\bper\b|hour|\bday|dail|minute)"
_MAILS = r"(?:messages?|e-?mails?|mails?|recipients?|rcpts?)"
_RECIPIENTS = any_of(rf"too many recipients(?!.{{0,20}}{_WINDOW})")
_SIZE = any_of(
    r"\bsize\b", "too (?:large|big|long)", r"\blines?\b", r"\bheaders?\b", "attachment", r"\bhops?\b", "bytes"
)
_OF_RECIPIENT = any_of(
    "is receiving",
    "trying to (?:contact|reach)",
    "mailbox.{0,30}(?:full|quota|storage)",
    "(?:full|quota|storage).{0,30}mailbox",
    "over ?quota",
    "(?:recipient|user).{0,20}quota",
    "recipient .{0,60}exceeded their",
    "gr[ea]y-?list",
)
_LIMIT = any_of(
    "rate.{0,3}limit|throttl",
    "(?:send|sending|sent|connection|message|submission|login).{0,3} rate",
    "too (?:many|much) (?:messages?|e-?mails?|mails?|requests?|log-?ins?|auth)",
    "too many (?:concurrent|simultaneous|connections?|sessions?|new tls|commands|transactions)",
    rf"too many recipients.{{0,20}}{_WINDOW}",
    r"trop de (?:connexions|messages|courriels|mails|destinataires)\b",
    "too fast|too quickly|too often|slow down",
    "(?:concurrent|simultaneous) (?:connections|sessions)",
    "(?:daily|hourly|monthly|peak|per.(?:day|hour|minute)).{0,40}(?:limit|quota|maximum)",
    "(?:send|sending|submission|relay|smtp|outgoing|outbound|message|mail)s? (?:limit|quota)",
    rf"(?:limit|quota|maximum).{{0,40}}(?:{_MAILS}|connections).{{0,40}}(?:exceed|reach)",
    rf"{_MAILS} count exceeded|{_MAILS}(?: sent)? per (?:session|connection)",
    rf"{_MAILS} per (?:second|minute|hour|day).{{0,20}}exceed|only \d+ {_MAILS} (?:per|a|an|each) ",
    rf"(?:hour|day|dai|month)(?:ly)? limit|max(?:imum)? {_MAILS}.{{0,10}}(?:per|daily|hourly)",
    r"(?:exceed|reach)\w*.{0,40}(?:message|e-?mail|mail|recipient|connection)s?.{0,4}(?:limit|quota|per)",
    "(?:limit|quota) (?:has been |was |is )?(?:exceed|reach)|quotaexceeded",
    r"exceed\w* .{0,40}(?:sending|daily|hourly|rate|max emails|per hour|per day)",
    "maximum credits|unusual sending",
)
# x.4.5 as Google uses it for its daily limits; the others are Microsoft's, of a mailbox and of a tenant.
_DAILY_STATUS = frozenset({(4, 5), (1, 90), (7, 232), (7, 233)})
_CONNECTIONS = any_of(
    "too many (?:concurrent |simultaneous |open )?(?:smtp )?(?:connections?|sessions?)",
    "(?:concurrent|simultaneous) (?:connections?|sessions?)",
    "connections? (?:limit|rate)",
    "trop de connexions",
)
_SESSION = any_of(
    rf"{_MAILS}(?: sent)? per (?:session|connection)",
    rf"too many {_MAILS} (?:in|on|over|for|per) (?:this|one|a|the|a single)? ?(?:session|connection)",
    rf"(?:max\w*|limit).{{0,20}}{_MAILS}.{{0,20}}(?:this|one|per|a) (?:session|connection)",
)
_WRONG_LOGIN = any_of(
    "(?:bad|wrong|invalid|incorrect|failed) (?:user|login|password|passwd|credentials|auth)",
    "(?:auth\\w*|login|sign-?in) (?:has )?(?:failed|failure|unsuccessful)",
    "(?:password|credentials).{0,30}(?:incorrect|invalid|wrong|rejected)",
)
_NOT_A_COMMAND = any_of("command", "syntax", r"recogni[sz]ed", "implement", "sequence", "^$")
_GREYLIST = any_of("gr[ea]y[- ]?list", "(?:post|sql)grey", r"\btriplet\b")
_LOGINS = any_of(r"too many.{0,20}(?:log-?ins?|sign-?ins?|auth\w*)")

_DAILY = any_of(r"dail", r"\bday\b", "24.?h", "submissionquota", "tenant external recipient")
_AUTH_DISABLED = any_of(r"smtp ?client ?auth\w* is disabled", "smtp_auth_disabled")
_SIGN_IN_POLICY = any_of("security defaults", "did not meet the criteria", "conditional access")
_BLOCKLIST = any_of(
    r"(?:client|host|address|\bip\b|\[[0-9a-f.:]+\]).{0,80}blocked (?:using|by|due to|for spam)",
    r"\b(?:black|block|deny)[ -]?list",
    r"\b(?:rbl|dnsbl)s?\b",
    "banned sending ip",
    "spamhaus|spamcop|barracudacentral|sorbs|uceprotect|abusix|proofpoint.com/dnsbl",
)
_ATTEMPTS = any_of(r"too many.{0,20}(?:log-?ins?|sign-?ins?|auth\w*|password|attempts)")
_NO_NAME = any_of("cannot find your (?:reverse )?host", r"reverse.?(?:dns|host|lookup|name)", r"\bptr\b")
_NO_DOMAIN = any_of(
    "domain (?:name )?(?:not found|of sender|does not (?:exist|resolve))",
    "sender.{0,20}domain.{0,30}(?:exist|resolve)",
)
_INTRODUCTION = any_of("(?:helo|ehlo) command rejected", "(?:invalid|bad|wrong) (?:helo|ehlo)")
_SUSPENDED = any_of(
    "bad outbound sender",
    r"account\b.{0,40}(?:suspend|disabled|blocked|locked|deactivated|not (?:yet )?(?:activated|active))",
    "(?:suspended|disabled|deactivated).{0,20}account",
)
_ADDRESS = re.compile(
    r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])|(?<=\[)(?:IPv6:)?[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*(?=\])"
)

_BASIC_OFF = any_of("basic authentication is (?:not supported|disabled)")
_APP_PASSWORD = any_of("application-specific", "app password", "gsmtp", r"accounts\.google|support\.google")

# Details of x.6 about addresses and headers beyond ASCII: RFC 6531 §3.5.
BEYOND_ASCII = frozenset({(6, 7), (6, 8), (6, 9), (6, 10)})


class Access(StrEnum):
    """How a server says that it does not let this connection in, apart from a refused AUTH."""

    ENCRYPTION_REQUIRED = "encryption_required"
    PASSWORD_OFF = "password_off"  # noqa: S105  a finding's name, no secret
    SENDER = "sender"  # signed in, and not allowed this sender
    ADDRESS_NOT_LISTED = "address_not_listed"
    RELAY_DENIED = "relay_denied"
    AUTHENTICATION_REQUIRED = "authentication_required"


_ACCESS_STATUS = {
    (7, 30): Access.PASSWORD_OFF,
    (7, 57): Access.AUTHENTICATION_REQUIRED,
    (7, 60): Access.SENDER,
    (7, 54): Access.RELAY_DENIED,
    (2, 252): Access.SENDER,
}
_PERMITTED = (
    "(?:authori[sz]ed|allowed|permitted|listed|registered|trusted|recogni[sz]ed|(?:white|allow)-?listed)"
)
# In this order: the text of one often mentions the next, "sender not allowed to relay, authenticate first".
_ACCESS_TEXT = {
    Access.ENCRYPTION_REQUIRED: any_of(
        "starttls", "must (?:use|issue).{0,12}(?:tls|ssl)", "encryption (?:is )?(?:required|needed)"
    ),
    Access.PASSWORD_OFF: _BASIC_OFF,
    Access.SENDER: any_of(
        "send ?as ?denied",
        "permissions? to send as",
        "not owned by",
        "sender address rejected",
        # "... to send to this group" is a recipient's rule, and blames nobody but that recipient.
        "sender.{0,40}not (?:allowed|authori[sz]ed|permitted)(?! to (?:send|mail|post|write) to)",
    ),
    Access.ADDRESS_NOT_LISTED: any_of(
        "client host.{0,80}(?:rejected|blocked|denied)",
        "credentials for relay",
        "(?:unauthori[sz]ed|unlisted|unknown|invalid) (?:client )?ip",
        rf"\bip\b.{{0,60}}(?:not|isn.t).{{0,20}}{_PERMITTED}",
        r"not (?:in|on) (?:the |our |your )?(?:allow|white|access|authori[sz]ed)\w*.{0,20}list",
        "not (?:white|allow)-?listed",
    ),
    Access.RELAY_DENIED: any_of(
        "relay(?:ing)?(?: access)? (?:is )?(?:denied|not (?:permitted|allowed)|prohibited|rejected)",
        "(?:unable to|not permitted to|not allowed to|do(?:es)? not|cannot) relay",
    ),
    Access.AUTHENTICATION_REQUIRED: any_of(
        "authenticat(?:ion|e) (?:is )?(?:required|needed|first)",
        "must (?:be authenticated|authenticate|log ?in)",
        "not authenticated",
        r"auth(?:\w* command)? first",
        "turn on smtp auth",
        "need to authenticate|requires authentication",
    ),
}


def limit_reached(reply: Reply) -> bool:
    """Whether a 4yz or 5yz reply tells of a rate or a quota of the account.

    Not a recipient's full mailbox (x.2.2), not too many recipients of one transaction (x.5.3), not a size.
    """
    if not (reply.transient or reply.permanent) or too_many_recipients(reply):
        return False
    status = detail(reply)
    if status in {(2, 2), (3, 4), (7, 12)} or (status is not None and status[0] == 6):
        return False
    if reply.code == 432 or status in _DAILY_STATUS:
        return True
    if (reply.code, status) == (554, (2, 0)):
        return access(reply) is not Access.SENDER
    text = reply.text
    return bool(_LIMIT.search(text)) and not _SIZE.search(text) and not _OF_RECIPIENT.search(text)


def greylisted(reply: Reply) -> bool:
    """Whether the server turns an unknown sender away at first, on purpose, and takes the message later."""
    return reply.transient and bool(_GREYLIST.search(reply.text))


def session_spent(reply: Reply) -> bool:
    """Whether a session may carry no more messages, and another one may: "451 Mails per session limit"."""
    return (reply.transient or reply.permanent) and bool(_SESSION.search(reply.text))


def not_understood(reply: Reply) -> bool:
    """Whether the server lost the thread of the dialogue, rather than judged mail or recipient.

    503 always; 500 and 502 unless their enhanced status or their words are about something else than the
    protocol: "500 5.1.1 User unknown" is a judgement.
    """
    if reply.code == 503:
        return True
    if reply.code not in {500, 502}:
        return False
    status = detail(reply)
    return bool(_NOT_A_COMMAND.search(reply.text)) if status is None else status[0] == 5


def too_many_connections(reply: Reply) -> bool:
    """Whether the limit that was reached is one of parallel sessions."""
    return limit_reached(reply) and bool(_CONNECTIONS.search(reply.text) or reply.code == 432)


def daily_limit(reply: Reply) -> bool:
    """Whether the limit that was reached is counted over a day."""
    spent = (reply.code, detail(reply)) == (554, (2, 0)) or detail(reply) in _DAILY_STATUS
    return limit_reached(reply) and (spent or bool(_DAILY.search(reply.text)))


def too_many_logins(reply: Reply) -> bool:
    """Whether the limit that was reached is one of sign-ins; servers count them over a quarter of an hour."""
    return limit_reached(reply) and bool(_LOGINS.search(reply.text))


def login_wrong(reply: Reply) -> bool:
    """Whether login or password are said to be wrong, whatever the code: some servers hang up with 421."""
    return bool(_WRONG_LOGIN.search(reply.text))


def too_many_recipients(reply: Reply) -> bool:
    """Whether a transaction holds more recipients than the server takes at once (RFC 5321 §4.5.3.1.10)."""
    if detail(reply) is None:
        return bool(_RECIPIENTS.search(reply.text))
    # Emailit's daily limit has the status of too many recipients: "452 4.5.3 Daily message limit exceeded".
    return detail(reply) == (5, 3) and not re.search(_WINDOW, reply.text, re.IGNORECASE)


def access(reply: Reply) -> Access | None:
    """How a 4yz or 5yz reply keeps the connection out, if that is what it does."""
    if not (reply.transient or reply.permanent):
        return None
    by_status = _ACCESS_STATUS.get(detail(reply) or (0, 0))
    if by_status is not None:
        return by_status
    by_text = next((access for access, pattern in _ACCESS_TEXT.items() if pattern.search(reply.text)), None)
    return Access.AUTHENTICATION_REQUIRED if by_text is None and reply.code == 530 else by_text


def password_off(reply: Reply) -> bool:
    """Whether Microsoft no longer takes passwords for this mailbox; 5.7.139 may also be a wrong one."""
    if detail(reply) == (7, 139):
        return "incorrect" not in reply.text.lower()
    return access(reply) is Access.PASSWORD_OFF


def submission_disabled(reply: Reply) -> bool:
    """Whether Microsoft says that a tenant or a mailbox may not sign in to send ("authenticated SMTP")."""
    told = bool(_AUTH_DISABLED.search(reply.text))
    unsaid = detail(reply) == (7, 139) and not (_BASIC_OFF.search(reply.text) or sign_in_policy(reply))
    return password_off(reply) and (told or unsaid)


def sign_in_policy(reply: Reply) -> bool:
    """Whether Microsoft's rules for signing in (security defaults, conditional access) are in the way."""
    return detail(reply) == (7, 139) and bool(_SIGN_IN_POLICY.search(reply.text))


def on_blocklist(reply: Reply) -> bool:
    """Whether our address is refused because a list of spammers' addresses has it, and not because of
    sign-ins that failed from there.
    """
    listed = _BLOCKLIST.search(reply.text) and not _ATTEMPTS.search(reply.text)
    return (reply.transient or reply.permanent) and bool(listed)


def without_name(reply: Reply) -> bool:
    """Whether our address is refused because DNS has no name for it, or another one (RFC 8601, x.7.25)."""
    told = detail(reply) == (7, 25) or bool(_NO_NAME.search(reply.text))
    return (reply.transient or reply.permanent) and told


def sender_domain_unknown(reply: Reply) -> bool:
    """Whether the sender is refused because DNS does not know its domain."""
    return (reply.transient or reply.permanent) and bool(_NO_DOMAIN.search(reply.text))


def introduction_refused(reply: Reply) -> bool:
    """Whether the name is refused that we gave at EHLO; many servers say so only at RCPT."""
    return (reply.transient or reply.permanent) and bool(_INTRODUCTION.search(reply.text))


def account_suspended(reply: Reply) -> bool:
    """Whether the provider has closed the account for sending, or not opened it yet."""
    return (reply.transient or reply.permanent) and bool(_SUSPENDED.search(reply.text))


def address_in(reply: Reply) -> str:
    """The address that the server says we come from; "" if it names none."""
    for found in _ADDRESS.finditer(reply.text):
        try:
            return str(ipaddress.ip_address(found[0].removeprefix("IPv6:")))
        except ValueError:
            continue
    return ""


def app_password_needed(reply: Reply) -> bool:
    """Whether Google wants an application's own password in place of the account's.

    5.7.14 with this code is Google's alone; 5.7.9 says no more than that a mechanism is too weak
    (RFC 4954 §6).
    """
    own = detail(reply) == (7, 14) or bool(_APP_PASSWORD.search(reply.text))
    return reply.code == 534 and own


def detail(reply: Reply) -> tuple[int, int] | None:
    """Subject and detail of the enhanced status: (5, 3) of 4.5.3 and of 5.5.3 alike."""
    return None if reply.enhanced is None else (reply.enhanced.subject, reply.enhanced.detail)
