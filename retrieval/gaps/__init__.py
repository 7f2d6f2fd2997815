"""What people ask and the documents do not tell: grouped, given to somebody, answered, and told of."""
