"""Many models side by side."""
