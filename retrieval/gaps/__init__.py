"""Knowledge gaps: unanswered questions, grouped, assigned, answered and reported back."""
