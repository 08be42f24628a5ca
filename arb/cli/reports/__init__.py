"""What the tables of a run say afterwards: results, where they came from, and what a tax office asks."""
