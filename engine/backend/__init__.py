"""What is on disk: project and stack files, state, history, locks, secrets; all as Pulumi's own CLI keeps them."""
