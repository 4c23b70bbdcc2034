"""The environment agency: daily air-quality indices."""
