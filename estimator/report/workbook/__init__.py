"""A scenario's base case as a workbook with live formulas."""
