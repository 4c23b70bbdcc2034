"""How an agency's records come in: source kinds, manifests, deliveries and their sequences, quarantine, checkpoints. Knows no agency."""
