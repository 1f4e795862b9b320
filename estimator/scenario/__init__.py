"""The decision as the user states it: one frozen tree of inputs, each declared once."""

from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, field_validator, model_validator

from estimator.quantity import Quantity
from estimator.scenario.inputs import Section
from estimator.scenario.need import (
    Correlation,
    Demand,
    Knowledge,
    Quality,
    TuningData,
    Value,
    errors_move_together,
)
from estimator.scenario.ways import (
    Api,
    Candidate,
    Managed,
    Owning,
    Pretrain,
    Saas,
    Serving,
    Staged,
    Team,
    Training,
)
from estimator.scenario.work import Project
from pricing.currency import currency_code

AlternativeId = Literal[
    "status_quo",
    "prompting",
    "rag",
    "managed_finetune",
    "self_hosted_finetune",
    "finetune_rag",
    "saas",
    "pretrain",
    "staged",
]
ALTERNATIVES: tuple[AlternativeId, ...] = (
    "status_quo",
    "prompting",
    "rag",
    "managed_finetune",
    "self_hosted_finetune",
    "finetune_rag",
    "saas",
    "pretrain",
    "staged",
)


class Scenario(Section):
    """One decision: what is needed, the ways of getting there, and how far to look ahead."""

    name: str = "Unnamed scenario"
    """What the decision is called in reports."""
    description: str = ""
    """A sentence for the reader."""
    horizon_months: Annotated[int, Field(ge=1, le=120)] = 36
    """Months from the decision that costs and benefits are counted over."""
    discount_rate_per_year: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.10
    """Yearly discount rate; 0.10 is usual in studies of total economic impact."""
    materiality_usd: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 10_000
    """Differences in value below this do not matter to you."""
    currency: Annotated[str, AfterValidator(currency_code)] = "USD"
    """Currency in which money is shown; every input is in US dollars."""
    alternatives: tuple[AlternativeId, ...] = ALTERNATIVES
    """The ways to compare; `status_quo` always takes part."""
    model: str = "meta-llama/Llama-3.1-8B"
    """Open model to tune: a catalogue name, a hub id, a config.json, or a bare size such as 7B."""

    demand: Demand
    """How many requests arrive."""
    value: Value = Field(default_factory=Value)
    """What a request costs or brings."""
    quality: Quality = Field(default_factory=Quality)
    """How well each way answers."""
    knowledge: Knowledge = Field(default_factory=Knowledge)
    """The company's documents."""
    data: TuningData = Field(default_factory=TuningData)
    """The examples to tune on."""
    api: Api = Field(default_factory=Api)
    """The API model of `prompting` and `rag`."""
    managed: Managed = Field(default_factory=Managed)
    """Tuning through somebody's API."""
    saas: Saas = Field(default_factory=Saas)
    """A bought assistant."""
    training: Training = Field(default_factory=Training)
    """Training it yourself."""
    owning: Owning = Field(default_factory=Owning)
    """What GPUs of your own cost beside their price."""
    serving: Serving = Field(default_factory=Serving)
    """Serving it yourself."""
    pretrain: Pretrain = Field(default_factory=Pretrain)
    """Training from scratch."""
    staged: Staged = Field(default_factory=Staged)
    """A pilot first."""
    team: Team = Field(default_factory=Team)
    """The people."""
    project: Project = Field(default_factory=Project)
    """The work."""
    correlations: tuple[Correlation, ...] = Field(
        default_factory=lambda data: (
            errors_move_together(data["quality"]) if "quality" in data else ()
        )
    )
    """Inputs that move together, besides what the formulas share already; unless given, the error
    rates of all assistants, because a hard task is hard for each of them."""

    @field_validator("alternatives")
    @classmethod
    def _with_status_quo(cls, given: tuple[AlternativeId, ...]) -> tuple[AlternativeId, ...]:
        chosen = set(given) | {"status_quo"}
        return tuple(name for name in ALTERNATIVES if name in chosen)

    @model_validator(mode="after")
    def _correlated_inputs_exist(self) -> Self:
        known = {path for path, quantity in self.quantities() if not quantity.is_fixed}
        for pair in self.correlations:
            for path in (pair.a, pair.b):
                if path not in known:
                    raise ValueError(f"correlations: {path!r} is not an uncertain input")
        return self

    @model_validator(mode="after")
    def _something_to_pilot(self) -> Self:
        if "staged" not in self.alternatives:
            return self
        candidates = [name for name in get_args(Candidate) if name in self.alternatives]
        if not candidates:
            raise ValueError("alternatives: staged needs another way to pilot beside it")
        chosen = self.staged.candidate
        if chosen is not None and chosen not in candidates:
            raise ValueError(
                f"staged.candidate: {chosen!r} is not compared; compared: {', '.join(candidates)}"
            )
        return self

    def inputs(self) -> dict[str, Quantity]:
        """Every quantity by path, in a fixed order."""
        return dict(sorted(self.quantities()))
