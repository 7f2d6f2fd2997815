"""Search and answers: `search` finds passages in the `index`, `answering` writes and checks answers."""
