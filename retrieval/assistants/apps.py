from django.apps import AppConfig


class AssistantsConfig(AppConfig):
    name = "retrieval.assistants"
    label = "assistants"
