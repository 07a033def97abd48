"""What `onefill doctor` looks at, a subject a file."""
