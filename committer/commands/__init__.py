"""What people do with snapshots: one command a file. Heavy modules are imported when a command is called."""
