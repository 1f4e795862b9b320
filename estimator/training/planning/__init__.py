"""Which GPUs, how many, from whom: every offer tried, the feasible ones ranked."""
