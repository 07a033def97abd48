"""The API for people and programs, a file for each family of routes."""
