"""The social agency: aid that is granted, paid, failed to be paid, and ended."""
