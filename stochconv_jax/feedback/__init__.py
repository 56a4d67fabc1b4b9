"""What people say of predictions that were wrong, kept until a network is trained with it.

Also the command `stochconv feedback`.
"""


def main() -> None:
    """Reads the command line and does what it says."""
    # Here, so that importing the store imports nothing else.
    from stochconv_jax.feedback.command import main as feedback

    feedback()
