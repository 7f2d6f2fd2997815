"""The steps from a question to the sentences of an answer."""
