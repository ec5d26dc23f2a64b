"""The manager's HTTP: who asks, what is answered, and streams."""
