"""Real training steps on the machine in front of the user, and what they say about longer runs.

The parent process plans, watches and fits; it never imports torch. Children (`child.py`) build the
model with random weights and step it. `measure.py` puts the parts together.
"""
