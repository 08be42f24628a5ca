"""NOUNS: frozen values and their arithmetic; imports nothing of ours."""
