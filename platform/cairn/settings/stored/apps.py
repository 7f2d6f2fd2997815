from django.apps import AppConfig


class StoredSettingsConfig(AppConfig):
    name = "cairn.settings.stored"
    label = "stored_settings"
