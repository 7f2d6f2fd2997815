"""Red team: attacks on a language model through documents and questions, and mechanical criteria."""
