"""Text processing for questions, evidence and answers."""
