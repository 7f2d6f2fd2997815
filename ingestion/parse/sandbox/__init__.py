"""The processes that parse hostile files, and what confines them."""
