"""What every store does with a group of work, whichever server it stands on."""
