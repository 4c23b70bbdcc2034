"""Dinas Kependudukan dan Pencatatan Sipil: vital events, moves, marriages and the register, from SIAK."""
