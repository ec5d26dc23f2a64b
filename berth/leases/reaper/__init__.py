"""The process that removes what is overdue, with or without a manager."""
