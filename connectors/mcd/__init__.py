"""Monitoring Center for Development: what the RTs report every month, and whom they know to live with them."""
