from django.apps import AppConfig


class LimitsConfig(AppConfig):
    name = "cairn.limits"
    label = "limits"
