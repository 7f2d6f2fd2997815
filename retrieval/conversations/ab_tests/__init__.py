"""A/B tests: a candidate answers a share of the people until a rule that was fixed before stops it."""
