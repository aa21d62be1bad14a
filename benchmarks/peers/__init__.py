"""What is measured beside what, and on what: other programs, networks, pictures, clocks."""
