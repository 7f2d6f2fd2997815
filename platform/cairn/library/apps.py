from django.apps import AppConfig


class LibraryConfig(AppConfig):
    name = "cairn.library"
    label = "library"
