"""Features of whole datasets, streamed to disk."""
