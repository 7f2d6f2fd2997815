from django.apps import AppConfig


class EvaluationConfig(AppConfig):
    name = "retrieval.evaluation"
    label = "evaluation"
