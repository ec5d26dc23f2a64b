"""What outlives the process: leases and users in MongoDB, deadlines in a journal on disk."""
