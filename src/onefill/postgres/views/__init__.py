"""What people see: each question is one snapshot."""
