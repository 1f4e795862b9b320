"""Should we fine-tune this model, or do something else? The modelling core of tuneroi."""

__version__ = "0.1.0"
