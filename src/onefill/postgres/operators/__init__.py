"""What people do, each action with its line in the audit log."""
