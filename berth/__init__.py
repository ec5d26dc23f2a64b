"""What runs: plain Python, one package per plane, no Pulumi in it."""
