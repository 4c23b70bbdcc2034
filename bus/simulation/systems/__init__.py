"""The agencies' own systems: tables, folders, interfaces, posts and sensors that are told what happens, as the manifests say that they are read."""
