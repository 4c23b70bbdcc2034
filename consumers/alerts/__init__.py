"""Tells people of indicators: rules over their rows become episodes, and each episode is told once to each channel."""
