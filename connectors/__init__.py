"""The agencies: one folder each, found by their manifests (DESIGN §7)."""
