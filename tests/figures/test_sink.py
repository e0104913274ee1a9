"""The bench's own next hop counts what a real server would have taken, and nothing else."""

import socket

import pytest
from bench.child import Child

DIALOGUE = (
    b"EHLO client.example.org\r\n"
    b"MAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\n.\r\n"  # an empty content
    b"MAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\nDATA\r\nx\r\n..\r\n\r\n.\r\n"  # dots that are no end
    b"MAIL FROM:<>\r\nMAIL FROM:<>\r\nRCPT TO:<a@example.com>\r\n"
    b"BDAT 7\r\nQUIT\r\n.BDAT 0 LAST\r\n"  # a chunk that looks like a command
    b"BDAT 3 LAST\r\nabc"  # of no transaction
    b"MAIL FROM:<>\r\nRSET\r\nRCPT TO:<a@example.com>\r\nDATA\r\n"
    b"QUIT\r\n"
)
CODES = [
    *[
        "250",
        "250",
        "250",
        "354",
        "250",
        "250",
        "250",
        "354",
        "250",
        "250",
        "503",
        "250",
        "250",
        "250",
        "503",
        "250",
        "250",
        "503",
        "503",
        "221",
    ]
]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, len(DIALOGUE)])
def test_any_splitting_is_answered_the_same(size):
    with Child("sink", "PIPELINING") as sink:
        with socket.create_connection(("127.0.0.1", sink.port), timeout=10) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start in range(0, len(DIALOGUE), size):
                client.sendall(DIALOGUE[start : start + size])
            heard = b""
            while block := client.recv(65536):
                heard += block
        counts = sink.ask()
    lines = heard.decode().splitlines()
    assert lines[:3] == ["220 sink.example ESMTP", "250-sink.example", "250 PIPELINING"]
    assert [line[:3] for line in lines[2:]] == CODES
    assert (counts["sessions"], counts["taken"]) == (1, 3)
    assert counts["last_at"] is not None
