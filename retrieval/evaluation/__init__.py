"""How good search and answers are, measured on questions whose answers are known."""
