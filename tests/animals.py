"""A tiny knowledge base: a document for each."""

ANIMALS = {
    "otter": "Otters float on their backs and hold hands while they are asleep on the water.",
    "badger": "Badgers dig long tunnels under the meadow and clean their beds of straw.",
    "stork": "Storks fly south across the desert in autumn and clatter with their beaks.",
}
