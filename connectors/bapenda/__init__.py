"""The revenue agency: land and building tax (PBB-P2) of SISMIOP."""
