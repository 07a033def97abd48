"""The world in a test tube: the real loops on virtual time, among servers that lie. Source: Q-3."""
