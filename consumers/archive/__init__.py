"""The archive: writes every event topic to Parquet files, for replays of what the topics no longer have, and for analysts."""
