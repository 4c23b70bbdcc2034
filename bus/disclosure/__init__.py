"""What the public may see of the numbers: thresholds, complementary suppression and releases (ADR 0026). Pure: no Kafka, no clock."""
