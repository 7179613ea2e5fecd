"""What is kept: one protocol, a SQL implementation and one in memory."""
