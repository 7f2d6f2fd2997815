from django.apps import AppConfig


class GapsConfig(AppConfig):
    name = "retrieval.gaps"
    label = "gaps"
