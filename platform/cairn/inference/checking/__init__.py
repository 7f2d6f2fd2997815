"""Models, asked whether they do their work."""

from cairn.inference.checking.reports import Report, chat_reports, reports

__all__ = ["Report", "chat_reports", "reports"]
