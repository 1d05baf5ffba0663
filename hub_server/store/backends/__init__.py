"""The database systems that a hub can keep its rows in; what is their own is in here, and nowhere else."""
