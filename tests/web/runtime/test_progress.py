import io
import json

import pytest

from web.processes.progress_report import JsonReporter, PlainReporter, RichReporter, reporter_for


def test_plain_reporter_writes_a_line_per_step() -> None:
    stream = io.StringIO()
    report = reporter_for(stream)
    report.step("Database ready")
    report.status("Loading models")
    report.ready("Cairn is ready: http://127.0.0.1:1", url="http://127.0.0.1:1")
    report.close()
    assert stream.getvalue() == "Database ready\nCairn is ready: http://127.0.0.1:1\n"


def test_long_wait_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("web.processes.progress_report.time.monotonic", lambda: now[0])
    stream = io.StringIO()
    report = PlainReporter(stream)
    for now[0] in (1.0, 6.0, 7.0):
        report.status("Loading models")
    assert stream.getvalue() == "Loading models …\n"


def test_json_for_programs() -> None:
    stream = io.StringIO()
    report = reporter_for(stream, as_json=True)
    assert isinstance(report, JsonReporter)
    report.status("Loading models")
    report.step("Database ready")
    report.ready("Ready", url="http://x", problems={})
    assert [json.loads(line) for line in stream.getvalue().splitlines()] == [
        {"event": "step", "text": "Database ready"},
        {"event": "ready", "text": "Ready", "url": "http://x", "problems": {}},
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_terminal_shows_steps_without_markup() -> None:
    stream = Terminal()
    report = reporter_for(stream)
    assert isinstance(report, RichReporter)
    report.status("Loading [models]")
    report.step("[bold] is no markup here")
    report.ready("Ready: http://[::1]:80")
    report.close()
    assert "[bold] is no markup here" in stream.getvalue()
    assert "Ready: http://[::1]:80" in stream.getvalue()
