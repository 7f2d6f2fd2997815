from importlib import import_module

from django.apps import AppConfig


class IdentityConfig(AppConfig):
    name = "web.identity"

    def ready(self) -> None:
        import_module("web.identity.audit_events")  # its receivers need the models
