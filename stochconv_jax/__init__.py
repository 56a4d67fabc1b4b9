"""Networks that see the whole image small and random windows of it at full detail."""
