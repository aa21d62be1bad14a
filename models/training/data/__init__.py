"""What training reads: labelled persons, their pictures, and the way to network inputs."""
