"""The measured claims: one command each, results as JSON in results/, a table of them by `python -m claims.table`."""
