"""`python -m drank` is the command `drank`."""

from drank.command import main

main()
