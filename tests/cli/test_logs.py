"""Logs never stop the work, and never tell more than was said."""

import json
import logging
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest

from vaguemestre.cli.logs import BACKLOG, Forwarding


@pytest.fixture
def pipe():
    reader, writer = os.pipe()
    yield reader, writer
    os.close(writer)


def record(text):
    return logging.LogRecord("test", logging.INFO, "", 0, text, None, None)


def test_l14_a_reader_that_stalls_does_not_hold_up_the_work(pipe):
    reader, writer = pipe
    handler = Forwarding(writer)
    began = time.monotonic()
    for _ in range(BACKLOG + 2000):
        handler.emit(record("x" * 100))
    assert time.monotonic() - began < 5
    with os.fdopen(reader) as lines:
        dropped = next(json.loads(line)["lines"] for line in lines if "log_lines_dropped" in line)
        assert 0 < dropped <= 2000
    # The thread must be done before the descriptor is closed: its number soon belongs to something else.
    assert handler.drain()


def test_l14_a_reader_that_went_away_is_no_error(pipe):
    reader, writer = pipe
    os.close(reader)
    handler = Forwarding(writer)
    handler.emit(record("nobody reads this"))
    assert handler.drain()


def logged(*statements, configure="logs.configure()"):
    """What a process that configured its logs writes, line by line."""
    script = ";".join(
        ["import structlog, logging", "from vaguemestre.cli import logs", configure, *statements]
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_process_of_up_that_cannot_go_on_says_so_among_the_lines_of_its_log():
    (line,) = logged("from vaguemestre.cli import main", "main._tell(['Why.'], 'courier', child=True)")
    assert (line["event"], line["process"], line["reasons"]) == ("process_failed", "courier", ["Why."])


def test_a_process_of_up_that_leaves_with_a_sentence_says_it_among_the_lines_of_its_log():
    (line,) = logged(
        "import sys",
        "from vaguemestre.cli import main",
        "main._load = lambda *_: None",
        "main._perform = lambda *_: sys.exit('Port 25 is taken.')",
        "sys.exit(main.run(['submission'], object()) - 1)",
    )
    assert (line["event"], line["reasons"]) == ("process_failed", ["Port 25 is taken."])


def test_a_log_that_is_no_terminal_is_json_with_fields():
    first, second = logged(
        "structlog.get_logger().info('attempt_finished', delivery=7, name='é')",
        "logging.getLogger('library').warning('odd %s', 'thing')",
    )
    assert (first["event"], first["delivery"], first["name"], first["level"]) == (
        "attempt_finished",
        7,
        "é",
        "info",
    )
    assert (second["event"], second["level"]) == ("odd thing", "warning")


def test_a_line_says_how_grave_it_is_and_when_it_was_to_the_microsecond():
    began = datetime.now(UTC)
    lines = logged(
        "structlog.get_logger('courier').bind(connection=3).error('odd', logger=1)",
        "structlog.get_logger().info('less')",
        configure="logs.configure(logging.WARNING)",
    )
    assert [list(line) for line in lines] == [["connection", "logger", "event", "level", "timestamp"]]
    assert lines[0]["level"] == "error"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lines[0]["timestamp"])
    assert began < datetime.fromisoformat(lines[0]["timestamp"]) < datetime.now(UTC)


def test_a_line_is_written_whatever_its_fields_hold():
    lines = logged(
        "structlog.get_logger().info('odd', file='\\udc80', number=2**70, keys={3: 4})",
        "structlog.get_logger().info('odd', value=object)",
    )
    assert lines[0] | {"timestamp": ""} == {
        "file": "\udc80", "number": 2**70, "keys": {"3": 4}, "event": "odd", "level": "info", "timestamp": ""
    }  # fmt: skip
    assert lines[1]["value"] == "<class 'object'>"


def test_a_line_that_cannot_be_made_is_told_and_further_ones_are_written():
    lines = logged(
        "structlog.get_logger().info('odd', value={(1, 2): 3})",
        "structlog.get_logger().info('next', number=1)",
    )
    assert [line["event"] for line in lines] == ["odd", "next"]
    assert lines[1]["number"] == 1


def test_a_traceback_holds_no_local_variables():
    lines = logged(
        "exec('def f(password):\\n  raise ValueError(3)')",
        'exec(\'try:\\n  f("canary" + "-7f1")\\nexcept ValueError:\\n  structlog.get_logger().exception("fell")\')',
    )
    assert lines[0]["exception"][0]["exc_type"] == "ValueError"
    assert "canary-7f1" not in json.dumps(lines)


def test_a_refused_request_of_the_api_is_no_event():
    lines = logged(
        "logging.getLogger('django.request').warning('Unprocessable Content: /api/v1/messages')",
        "logging.getLogger('django.request').error('Internal Server Error: /')",
    )
    assert [line["level"] for line in lines] == ["error"]


def test_what_django_tells_of_a_request_has_a_name_and_no_path_which_may_hold_a_one_time_link():
    lines = logged(
        "from types import SimpleNamespace as It",
        "meta = {'HTTP_HOST': 'evil.example'}",
        "found = It(route='setup/<token>/')",
        "request = It(method='GET', path='/setup/canary-7f1/', META=meta, resolver_match=found)",
        "of = lambda **more: {'extra': {'request': request, 'status_code': 503}, **more}",
        "fault = (ValueError, ValueError(3), None)",
        "say = lambda name, *words, **more: logging.getLogger(f'django.{name}').error(*words, **of(**more))",
        "say('request', '%s: %s', 'Away', '/setup/canary-7f1/')",
        "say('request', 'Away', exc_info=fault)",
        "say('security.csrf', 'Forbidden (%s): %s', 'no cookie', '/setup/canary-7f1/')",
        "say('security.DisallowedHost', 'Invalid: evil.example', exc_info=fault)",
        "say('security.RequestDataTooBig', 'Too big: /setup/canary-7f1/')",
    )
    assert [(line["event"], line["level"]) for line in lines] == [
        ("request_answered", "error"),
        ("request_failed", "error"),
        ("form_refused", "error"),
        ("host_refused", "warning"),
        ("request_refused", "error"),
    ]
    assert (lines[0]["method"], lines[0]["route"], lines[0]["status_code"]) == ("GET", "setup/<token>/", 503)
    assert (lines[2]["why"], lines[3]["host"]) == ("no cookie", "evil.example")
    assert "exception" in lines[1]
    assert "exception" not in lines[3]
    assert "canary-7f1" not in json.dumps(lines)
