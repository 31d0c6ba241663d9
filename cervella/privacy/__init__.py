"""Secrets are found and masked before text is indexed or leaves the machine."""
