"""Log records: without tracebacks of refused requests, and optionally as JSON, one line each."""

import json
import logging
from datetime import UTC, datetime

from cairn.telemetry.context import current_ids


class ClientErrorFilter(logging.Filter):
    """Removes the traceback from records about requests that Cairn refused, as nothing in Cairn is wrong."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.exc_info = None
        return True


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **current_ids(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)
