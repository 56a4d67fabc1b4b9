"""What config.json of an exported network tells, and what it keeps to itself."""

from stochconv_jax.configs import base
from stochconv_jax.exporting.description import without_places


def test_no_path_of_the_machine_is_told():
    config = base.get_config("folder")
    told = "somewhere/of/mine"
    for field in ("directory", "origin", "table", "prepared_directory"):
        config.data[field] = told
    config.model.weights = told
    config.data.feedback = (f"{told}/may", f"{told}/june")
    blanked = without_places(config)
    assert told not in str(blanked.to_dict())
    # Of the type that it had, so that it can be read again; the config itself stays.
    assert blanked.data.feedback == ()
    assert blanked.data.directory == ""
    assert config.data.feedback
