"""Submitting, replacing and deleting documents."""
