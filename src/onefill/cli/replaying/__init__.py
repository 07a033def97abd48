"""Replaying recorded signals: read, put in order, deliver, tell. Source: SIG-20."""
