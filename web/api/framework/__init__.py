"""What all routes of the REST API share."""
