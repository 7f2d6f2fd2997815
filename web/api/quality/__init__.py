"""Routes for evaluations, gold questions and knowledge gaps."""
