"""Sources, as admins set them up: their options as form fields, connection tests and dry runs."""
