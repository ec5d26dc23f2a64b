"""What is declared: one component per file."""
