from django.apps import AppConfig


class CacheConfig(AppConfig):
    name = "cairn.cache"
    label = "cache"
