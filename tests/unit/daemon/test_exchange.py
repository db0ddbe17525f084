from latticewatch.daemon.config import Settings
from latticewatch.daemon.exchange import PipelineSettings, pipeline_settings


def test_every_choice_of_the_settings_reaches_the_pipeline() -> None:
    settings = Settings.model_validate(
        {
            "source": {"name": "other"},
            "detect": {"false_alarms_per_frame": 2.0},
            "events": {"max_defects": 7, "valid_for_ms": 8, "copy_attrs": True},
        }
    )

    assert pipeline_settings(settings) == PipelineSettings(
        fdr=None,
        false_alarms_per_frame=2.0,
        max_defects=7,
        valid_for_ms=8,
        copy_attrs=True,
        source="other",
    )
