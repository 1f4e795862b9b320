"""Memory, time and cost of a training run."""
