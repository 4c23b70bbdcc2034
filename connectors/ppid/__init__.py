"""The PPID: what citizens say about datasets, what the agencies answer, and requests for information with their clock."""
