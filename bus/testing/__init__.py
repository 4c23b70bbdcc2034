"""What proves a bus, ours or another regency's: doubles of the log, the fault harness and the conformance kit."""
