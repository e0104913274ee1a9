"""A DNS server of the tests: real UDP and TCP on loopback, answers from a dict, and it keeps what was asked.

    with DnsServer({("example.org", "MX"): ["10 mx.example.org."]}) as dns:
        resolver = dns.resolver()  # dnspython's, for dns.address and dns.port

A name with other records than the ones asked for has an empty answer, a name without any does not exist
(NXDOMAIN); CNAMEs are followed. `FAILS` and `SILENT` stand in the place of records. An answer above 512 octets is
truncated over UDP, unless the question allows more (RFC 6891), and is asked for again over TCP.
"""

from __future__ import annotations

import contextlib
import socketserver
import struct
import threading
from collections.abc import Mapping, Sequence
from typing import Self

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from scripted.ports import free_port

FAILS = "SERVFAIL"
SILENT = "SILENT"
TTL = 60

type Records = Mapping[tuple[str, str], Sequence[str] | str]


class _Server:
    daemon_threads = True
    block_on_close = False
    request_queue_size = 32


class _Udp(_Server, socketserver.ThreadingUDPServer):
    pass


class _Tcp(_Server, socketserver.ThreadingTCPServer):
    pass


class DnsServer:
    """Answers questions from `records`, which a test may change while it runs.

    Attributes:
        asked: (name, type, transport) of each question, in order.
    """

    def __init__(self, records: Records) -> None:
        self.records = {(name.lower().rstrip("."), kind): found for (name, kind), found in records.items()}
        self.asked: list[tuple[str, str, str]] = []
        self.address = "127.0.0.1"

    def __enter__(self) -> Self:
        self._servers = self._bound()
        self.port = self._servers[0].server_address[1]
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def resolver(self) -> dns.resolver.Resolver:
        """One that asks this server and no other."""
        resolver = dns.resolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [self.address], self.port
        return resolver

    def _bound(self) -> tuple[socketserver.BaseServer, ...]:
        """Both, on one port."""
        while True:
            place = (self.address, free_port())
            with contextlib.suppress(OSError):
                udp = _Udp(place, self._over_udp)
                try:
                    return (udp, _Tcp(place, self._over_tcp))
                except OSError:
                    udp.server_close()

    def _over_udp(self, request: tuple, _peer: object, _server: object) -> None:
        octets, socket = request
        query = dns.message.from_wire(octets)
        answer = self._answer(query, "udp")
        if answer is not None:
            most = max(512, query.payload) if query.edns >= 0 else 512
            wire = answer.to_wire(max_size=65535)
            if len(wire) > most:
                cut = dns.message.make_response(query)
                cut.flags |= dns.flags.TC
                wire = cut.to_wire()
            socket.sendto(wire, _peer)

    def _over_tcp(self, request, _peer: object, _server: object) -> None:
        with contextlib.suppress(OSError, struct.error), request.makefile("rb") as stream:
            while True:
                (length,) = struct.unpack("!H", stream.read(2))
                answer = self._answer(dns.message.from_wire(stream.read(length)), "tcp")
                if answer is not None:
                    wire = answer.to_wire()
                    request.sendall(struct.pack("!H", len(wire)) + wire)

    def _answer(self, query: dns.message.Message, transport: str) -> dns.message.Message | None:
        """The answer; None for silence."""
        (question,) = query.question
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append((question.name.to_text(omit_final_dot=True).lower(), kind, transport))
        answer = dns.message.make_response(query)
        answer.flags |= dns.flags.RA
        name = question.name
        for _ in range(8):
            found = self._records(name, kind)
            alias = self._records(name, "CNAME")
            if found == SILENT:
                return None
            if found == FAILS:
                answer.set_rcode(dns.rcode.SERVFAIL)
                return answer
            if found is not None:
                answer.answer.append(dns.rrset.from_text_list(name, TTL, "IN", kind, found))
                return answer
            if alias is None:
                break
            answer.answer.append(dns.rrset.from_text_list(name, TTL, "IN", "CNAME", alias))
            name = dns.name.from_text(alias[0])
        if not self._exists(name):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer

    def _records(self, name: dns.name.Name, kind: str) -> Sequence[str] | str | None:
        return self.records.get((name.to_text(omit_final_dot=True).lower(), kind))

    def _exists(self, name: dns.name.Name) -> bool:
        text = name.to_text(omit_final_dot=True).lower()
        return any(known == text or known.endswith(f".{text}") for known, _ in self.records)
