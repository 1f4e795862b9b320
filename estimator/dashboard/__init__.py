"""The dashboard: widgets from the scenario's own declarations, one call of the core, and views.

No formula lives here: inputs are edited, the core compares, `estimator.report` draws.
"""
