"""Finds secrets and masks them before a text is indexed or sent to another machine."""
