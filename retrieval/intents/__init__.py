"""Messages that want something else than an answer: lists, documents, summaries and comparisons.

Each module does one of them. All cite what they show, and return None where an ordinary answer serves better.
"""
