"""What the management commands share: the REST client, progress bars and checks."""
