"""Speed and accuracy of the package, measured so that anyone can repeat it."""
