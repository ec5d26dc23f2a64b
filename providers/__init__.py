"""What is reconciled: one dynamic provider per file, thin over :mod:`berth`."""
