"""The machine: GPUs wired into a cluster, the rates they reach, and how that was calibrated."""
