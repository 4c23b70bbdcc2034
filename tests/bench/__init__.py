"""`make bench`: what our worker does, as ratios to peers measured in the same run on the same input (never asserted, only reported)."""
