from importlib import import_module

from django.apps import AppConfig


class AccessConfig(AppConfig):
    name = "cairn.access"
    label = "access"

    def ready(self) -> None:
        import_module("cairn.access.signals")  # its receivers need the models
