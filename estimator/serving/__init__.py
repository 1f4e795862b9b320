"""Running a model on GPUs: capacity of a replica, replicas for a load, and what they cost."""
