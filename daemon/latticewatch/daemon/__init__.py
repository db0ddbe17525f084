"""The program: from a frame on a socket to a defect event on a socket."""
