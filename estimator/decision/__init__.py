"""The decision: what alternatives are worth, which is best, how sure that is, what would change it.

Pure functions over arrays; nothing here knows a scenario. One draw is one possible world, common
to all alternatives: payoffs have shape (draws,), cash flows (draws, months) or (months,).
"""
