"""Owning and preparing the data folder of an install."""
