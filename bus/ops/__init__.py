"""What an operator does with a bus: run it, look at it, prove its numbers, replay what was refused."""
