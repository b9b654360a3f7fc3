"""The map of a frame's bits, coloured and lettered by what happens when each is flipped."""
