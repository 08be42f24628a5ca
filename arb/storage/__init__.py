"""FOR LATER: the journal and the stores."""
