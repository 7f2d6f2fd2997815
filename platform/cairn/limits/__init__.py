"""How much people and programs may do, and how much of it they have done."""
