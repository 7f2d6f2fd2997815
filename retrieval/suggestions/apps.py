from django.apps import AppConfig


class SuggestionsConfig(AppConfig):
    name = "retrieval.suggestions"
    label = "suggestions"
