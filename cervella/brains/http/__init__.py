"""What the brains that speak HTTP share."""
