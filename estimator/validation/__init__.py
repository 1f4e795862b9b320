"""Predictions against measurements: how far off, in which direction, how often in the range."""
