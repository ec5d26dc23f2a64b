"""What goes by: events and logs, kept in Redis for a while, which may be lost."""
