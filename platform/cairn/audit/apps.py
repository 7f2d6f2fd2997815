from importlib import import_module

from django.apps import AppConfig


class AuditConfig(AppConfig):
    name = "cairn.audit"
    label = "audit"

    def ready(self) -> None:
        import_module("cairn.audit.signals")  # its receivers need the models
