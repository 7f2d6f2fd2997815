"""Checks of whether the configured models work."""

from cairn.inference.model_checks.reports import Report, chat_reports, measure_chat_model, reports

__all__ = ["Report", "chat_reports", "measure_chat_model", "reports"]
