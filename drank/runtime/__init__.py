"""What every step of the pipeline needs: whole files, its log, one run a folder, a device, and a hash of the code that it runs."""
