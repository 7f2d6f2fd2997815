"""The vector index: `protocol` the interface, `backends` has the stores, `generations` the active index."""
