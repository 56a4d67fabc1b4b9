"""Do RandAugment and balanced sampling help to grade retinopathy?

    python -m stochconv_jax.prepare folder --source RETINAS --label-column grade \
        --group-column patient_id --validation-fraction 0.4 --size 144x216 \
        --output prepared/retinas_grades
    python -m stochconv_jax.study --config=configs/studies/grades.py --workdir=runs/grades
    python -m stochconv_jax.compare runs/grades/* --reference plain --output=runs/grades/comparison

Five ordered grades, judged by accuracy, quadratic weighted kappa and each grade's ROC curve
(`eval/report.html` of each run), as Song 2020 asks on EyePACS. EfficientNet-Lite0 from ImageNet's
weights (`make weights`), 144x216 pixels, one draw of the split by patient, three seeds. `plain`
flips images and no more; `balanced` visits every grade as often, in as many steps; `both` is the
thesis' combination. The last epoch is evaluated, whatever validation said of it.
"""

from typing import Any

from ml_collections import ConfigDict

from stochconv_jax.configs import finetune
from stochconv_jax.configs.studies.base import Fields, make_study

RANDAUGMENT: dict[str, Any] = {
    "augment": {"randaugment_operations": 2, "randaugment_weights": "shape"}
}
BALANCED: dict[str, Any] = {"equal_classes": True}


def get_config() -> ConfigDict:
    """Returns the study, locked."""
    config = finetune.get_config("prepared")
    config.data.directory = "prepared/retinas_grades"
    config.data.high_size = (144, 216)
    config.data.low_size = (144, 216)
    augment = config.data.augment
    augment.crop_area = augment.crop_aspect = (1.0, 1.0)
    augment.rotation = 0.0
    config.train.epochs = 8
    config.train.steps_per_epoch = 18  # about a pass, and the same for every model
    config.eval.checkpoint = "latest"
    models: dict[str, Fields] = {
        "plain": {},
        "randaugment": {"data": RANDAUGMENT},
        "balanced": {"data": BALANCED},
        "both": {"data": RANDAUGMENT | BALANCED},
    }
    return make_study(config, models, seeds=(0, 1, 2))
