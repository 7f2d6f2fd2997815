from django.apps import AppConfig


class UsagePolicyConfig(AppConfig):
    name = "retrieval.conversations.usage_policy"
    label = "usage_policy"
