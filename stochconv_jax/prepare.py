"""Prepares images for training: python -m stochconv_jax.prepare isic|folder|show --help."""

if __name__ == "__main__":
    # Here, so that the worker processes, which read this file again, need not import it all.
    from stochconv_jax.data.preparation.command import main

    main()
