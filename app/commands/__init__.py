"""One file per command of `merganser`: it reads arguments, asks the packages below, prints, and sets the exit code."""
