from django.apps import AppConfig


class StatisticsConfig(AppConfig):
    name = "retrieval.statistics"
    label = "statistics"
