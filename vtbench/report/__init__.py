"""Reports: what a study measured, gathered into one file and rendered from it as Markdown and HTML."""
