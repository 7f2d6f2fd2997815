"""Query understanding: rewriting follow-up questions and splitting compound ones."""
