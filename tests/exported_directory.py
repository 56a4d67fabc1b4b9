"""Directories as `stochconv export` writes them."""

from stochconv_jax.exporting.command import main


def export(run, output, *arguments):
    """Exports a run; returns the directory."""
    main([str(run), f"--output={output}", *arguments])
    return output
