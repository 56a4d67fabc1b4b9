"""How good predictions are: metrics, their uncertainty and the report."""
