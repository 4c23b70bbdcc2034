"""The agencies: one folder each, found by their manifests (ADR 0005)."""
