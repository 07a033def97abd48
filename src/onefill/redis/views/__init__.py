"""What people see, where Redis is the authority."""
