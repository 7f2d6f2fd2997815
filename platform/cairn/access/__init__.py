"""The only package that decides who may read and change what."""
