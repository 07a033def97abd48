"""What Redis does beside PostgreSQL: it carries, mirrors and witnesses."""
