"""The livestock agency: milk that farmers deliver to cooperatives, the dairy herd, and animal disease."""
