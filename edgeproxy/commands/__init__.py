"""What the verbs of the command line do, one module a group; called by ``cli``, returns exit codes."""
