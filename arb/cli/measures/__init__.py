"""What `arb bench` measures: one module per part of the program, each a list of measures that return results."""
