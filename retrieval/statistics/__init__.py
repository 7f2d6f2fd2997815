"""How much is asked and how it is answered, in numbers: narrow rows that are quick to add up."""
