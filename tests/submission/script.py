r"""A submitter's dialogue as text, played against the listener.

S: 250 2.1.0        the next reply begins like this; of several lines, its first
S* AUTH PLAIN       one of the lines of the reply before is exactly this
S! STARTTLS         none of the lines of the reply before begins with this
C: NOOP             write the line and CRLF; \r \n \0 \xNN \\ are escapes
C- NOOP             write exactly this, no CRLF added
C+ MAIL ...         keep the line, and write it together with the next one
@closed             the listener has closed
"""

from scripted.dialogue import octets


def play(line, script):
    """Every step in order; the failing one is in the assertion's message."""
    kept, last = b"", ""
    for number, raw in enumerate(script.splitlines(), 1):
        step, _, text = raw.strip().partition(" ")
        where = f"line {number}: {raw.strip()!r}"
        match step:
            case "" | "#":
                continue
            case "C:":
                line.write(kept + octets(text) + b"\r\n")
                kept = b""
            case "C-":
                line.write(kept + octets(text))
                kept = b""
            case "C+":
                kept += octets(text) + b"\r\n"
            case "S:":
                code, last = line.reply()
                assert f"{code} {last}".startswith(text), f"{where}, not {code} {last}"
            case "S*":
                assert text in last.splitlines(), f"{where} not in {last!r}"
            case "S!":
                assert not any(said.startswith(text) for said in last.splitlines()), f"{where} in {last!r}"
            case "@closed":
                assert line.reply() == (0, ""), where
            case _:
                raise ValueError(where)
