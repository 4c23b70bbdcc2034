"""Events: their envelope, their Avro schemas, their coding, and the registry that serves the schemas."""
