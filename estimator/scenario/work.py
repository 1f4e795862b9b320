"""The work behind each way: effort, waits and iterations, activity by activity."""

from typing import Annotated, Any

from pydantic import Field, field_validator

from estimator.quantity import Quantity
from estimator.scenario.inputs import Factor, In, Section, Share, over_defaults, sourced
from pricing import activities

Effort = Annotated[Quantity, In("person-days", 0)]
Wait = Annotated[Quantity, In("days", 0)]


class Project(Section):
    """Effort, waits and iterations by way and activity; what is left out takes its default."""

    overrun_factor: Factor = sourced("project.overrun_factor")
    """Actual over planned work, black swans apart, from the record of finished IT projects."""
    black_swan: Annotated[Quantity, In("probability", 0, 1)] = sourced("project.black_swan")
    """The project overruns by far."""
    black_swan_factor: Factor = sourced("project.black_swan_factor")
    """Actual over planned work if it does."""
    kill_factor: Factor = sourced("project.kill_factor")
    """Actual over planned work at which a project is cut down to size."""
    small_work_overrun_share: Share = sourced("project.small_work_overrun_share")
    """How much of that (as a power) short, cancellable work suffers: buying, prompting, pilots."""
    effort_days: dict[str, dict[str, Effort]] = Field(default_factory=dict)
    """Person-days by way and activity."""
    wait_days: dict[str, dict[str, Wait]] = Field(default_factory=dict)
    """Calendar days of waiting by way and activity (quota, procurement, review)."""
    iterations: dict[str, Annotated[Quantity, In("count", 0)]] = Field(default_factory=dict)
    """Rounds of evaluation until the result is accepted, by way."""
    operate_fte: dict[str, Annotated[Quantity, In("FTE", 0)]] = Field(default_factory=dict)
    """People who keep it running, by way."""
    cycle_days: dict[str, dict[str, Effort]] = Field(default_factory=dict)
    """Person-days of one retraining or re-indexing, by way."""

    @field_validator("effort_days", mode="before")
    @classmethod
    def _all_efforts(cls, given: Any) -> Any:
        return over_defaults(given, activities.effort_days(), "way", below="activity")

    @field_validator("wait_days", mode="before")
    @classmethod
    def _all_waits(cls, given: Any) -> Any:
        return over_defaults(given, activities.wait_days(), "way", below="activity")

    @field_validator("iterations", mode="before")
    @classmethod
    def _all_iterations(cls, given: Any) -> Any:
        return over_defaults(given, activities.iterations(), "way")

    @field_validator("operate_fte", mode="before")
    @classmethod
    def _all_operations(cls, given: Any) -> Any:
        return over_defaults(given, activities.operate_fte(), "way")

    @field_validator("cycle_days", mode="before")
    @classmethod
    def _all_cycles(cls, given: Any) -> Any:
        return over_defaults(given, activities.cycle_days(), "way", below="activity")
