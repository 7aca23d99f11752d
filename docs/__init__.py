"""The site; a package only so that `mkdocs.yml` can name `docs.making.mathml`."""
