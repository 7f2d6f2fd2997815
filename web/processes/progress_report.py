"""Progress reports on terminals, as plain text and as JSON."""

import json
import time
from typing import IO, Any, Protocol

from rich.console import Console
from rich.status import Status

_STATUS_EVERY = 5.0  # seconds between lines where no terminal can rewrite one


class Reporter(Protocol):
    on_terminal: bool
    """Whether a person reads it on a terminal, so that nothing is stored. Secrets are shown only then."""

    def step(self, text: str) -> None:
        """Report a completed step."""

    def status(self, text: str) -> None:
        """Report the current activity."""

    def ready(self, text: str, **facts: Any) -> None:
        """Report readiness, as the last message; `facts` are for programs."""

    def close(self) -> None: ...


class PlainReporter:
    on_terminal = False

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._shown = time.monotonic()

    def step(self, text: str) -> None:
        self._shown = time.monotonic()
        self._stream.write(f"{text}\n")
        self._stream.flush()

    def status(self, text: str) -> None:
        if time.monotonic() - self._shown >= _STATUS_EVERY:
            self.step(f"{text} …")

    def ready(self, text: str, **_facts: Any) -> None:
        self.step(text)

    def close(self) -> None:
        pass


class RichReporter:
    """Steps with a spinner below."""

    on_terminal = True

    def __init__(self, stream: IO[str]) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)
        self._status: Status | None = None

    def step(self, text: str) -> None:
        self._console.print(f"[green]✓[/green] {_escape_markup(text)}")

    def status(self, text: str) -> None:
        if self._status is None:
            self._status = self._console.status("")
            self._status.start()
        self._status.update(_escape_markup(text))

    def ready(self, text: str, **_facts: Any) -> None:
        self.close()
        self._console.print(f"[bold]{_escape_markup(text)}[/bold]")

    def close(self) -> None:
        if self._status is not None:
            self._status.stop()
            self._status = None


class JsonReporter:
    """Reports as JSON Lines."""

    on_terminal = False

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream

    def step(self, text: str) -> None:
        self._write("step", text)

    def status(self, text: str) -> None:
        pass

    def ready(self, text: str, **facts: Any) -> None:
        self._write("ready", text, **facts)

    def close(self) -> None:
        pass

    def _write(self, event: str, text: str, **facts: Any) -> None:
        self._stream.write(json.dumps({"event": event, "text": text, **facts}, ensure_ascii=False) + "\n")
        self._stream.flush()


class SilentReporter:
    on_terminal = False

    def step(self, text: str) -> None:
        pass

    def status(self, text: str) -> None:
        pass

    def ready(self, text: str, **facts: Any) -> None:
        pass

    def close(self) -> None:
        pass


def _escape_markup(text: str) -> str:
    return text.replace("[", r"\[")


def reporter_for(stream: IO[str], *, as_json: bool = False) -> Reporter:
    if as_json:
        return JsonReporter(stream)
    return RichReporter(stream) if stream.isatty() else PlainReporter(stream)
