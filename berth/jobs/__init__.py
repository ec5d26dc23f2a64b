"""One-shot jobs that set a server up from inside its own network namespace.

Each file here stands alone: a component uploads it into a container of the service image, so it may import
what that image installs, and nothing of ours.
"""
