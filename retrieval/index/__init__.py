"""The vector index: `protocol` is its interface, `backends` chooses the store, `generations` which is active."""
