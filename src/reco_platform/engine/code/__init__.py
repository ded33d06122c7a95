"""The digest of the code behind a step, by the content of the definitions that its script reaches."""
