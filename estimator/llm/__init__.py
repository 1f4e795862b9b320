"""The model: its architecture, parameters, adapters, catalogue and look-up."""
