"""The command line. It gets the application's runtime handed in, and imports each command when it runs."""
