"""The paper venue: an exchange of its own, which outlives the instances it judges (ORD-13)."""
