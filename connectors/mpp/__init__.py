"""The public service mall (MPP): queue tickets and satisfaction surveys."""
