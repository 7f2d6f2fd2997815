"""Spreadsheets and CSV files."""
