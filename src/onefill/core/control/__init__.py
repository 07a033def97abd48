"""Who may act: the lease, its succession and handover, and what an instance may do meanwhile."""
