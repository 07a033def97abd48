"""What people do, where Redis is the authority."""
