"""Makes flags ready to train with: stochconv feedback --help."""

from stochconv_jax.feedback import main

if __name__ == "__main__":
    main()
