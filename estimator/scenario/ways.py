"""The ways of getting there: what each needs bought, run and staffed."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

import pricing
from estimator.errors import InputError
from estimator.hardware.calibration import shipped_calibration
from estimator.quantity import Quantity
from estimator.scenario.inputs import (
    Count,
    Days,
    Factor,
    In,
    Months,
    Runs,
    Section,
    Share,
    TokensPerRequest,
    Usd,
    UsdPerGpuHour,
    UsdPerMonth,
    UsdPerMtok,
    YearlyChange,
    over_defaults,
    sourced,
)
from estimator.serving.constants import serving_constants, throughput_spread
from estimator.training.recipe import Method, Stack
from pricing.countries import HOME_COUNTRY, country_code, load_factor, wages_in
from pricing.dates import first_day

Candidate = Literal[
    "prompting", "rag", "managed_finetune", "self_hosted_finetune", "finetune_rag", "saas"
]


class Api(Section):
    """The API model behind `prompting` and `rag`, and the embedding model behind retrieval."""

    provider: str = "openai"
    """Provider as the genai-prices package names it."""
    model: str = "gpt-4.1-mini"
    """Model as the genai-prices package names it."""
    input_usd_per_mtok: UsdPerMtok = Field(
        default_factory=lambda data: _token_price(data, "input_usd_per_mtok")
    )
    """Price of a million input tokens; looked up unless given."""
    output_usd_per_mtok: UsdPerMtok = Field(
        default_factory=lambda data: _token_price(data, "output_usd_per_mtok")
    )
    """Price of a million output tokens; looked up unless given."""
    cached_usd_per_mtok: UsdPerMtok = Field(default_factory=lambda data: _cached_price(data))
    """Price of a million input tokens read from the provider's cache; looked up unless given."""
    cached_share: Share = sourced("api.cached_share")
    """Share of the instructions that the provider reads from its cache."""
    cache_minimum_tokens: TokensPerRequest = sourced("api.cache_minimum_tokens")
    """Shortest instructions that are cached at all."""
    price_change_per_year: YearlyChange = sourced("prices.token_price_change_per_year")
    """Yearly change of token prices for the same service; negative when they fall."""
    embedding_usd_per_mtok: UsdPerMtok = Field(default_factory=lambda: _embedding_price())
    """Price of embedding a million tokens."""
    model_life_months: Months = sourced("training.model_life_months")
    """Months until the model is retired and prompts must be moved to its successor."""


def _token_price(data: dict[str, Any], field: str) -> Quantity:
    price = pricing.token_price(data["provider"], data["model"])
    return _sourced_price(getattr(price, field), price.source, price.as_of)


def _cached_price(data: dict[str, Any]) -> Quantity:
    """The price of cached input; that of input where the provider does not cache."""
    price = pricing.token_price(data["provider"], data["model"])
    if price.cached_input_usd_per_mtok is None:
        return data.get("input_usd_per_mtok") or _token_price(data, "input_usd_per_mtok")
    return _sourced_price(price.cached_input_usd_per_mtok, price.source, price.as_of)


def _sourced_price(value: float, source: str, as_of: str) -> Quantity:
    return Quantity(
        value=value, unit="USD/Mtok", source=source, as_of=as_of, evidence="seen-secondary"
    )


def _embedding_price() -> Quantity:
    value = pricing.embedding_price_usd_per_mtok("openai", "text-embedding-3-small")
    as_of = pricing.token_prices_as_of().as_of
    return _sourced_price(value, "genai-prices: openai text-embedding-3-small", as_of)


class Managed(Section):
    """Tuning through somebody's API, and the tuned model they host."""

    offer: str = "vertex-gemini-2.5-flash-lite"
    """Offer in `tuneroi prices --managed`."""
    training_usd_per_mtok: UsdPerMtok = Field(
        default_factory=lambda data: pricing.managed_offer(data["offer"]).training_usd_per_mtok
    )
    """Price of a million training tokens (tokens times epochs)."""
    hosting_usd_per_hour: Annotated[Quantity, In("USD/hour", 0)] = Field(
        default_factory=lambda data: (
            pricing.managed_offer(data["offer"]).hosting_usd_per_hour or Quantity.of(0)
        )
    )
    """Fee for keeping the tuned model available, busy or idle, per model or per dedicated GPU."""
    hosting_units: Count = Field(default_factory=lambda: Quantity.of(1))
    """Deployed models or dedicated GPUs that the hosting fee is paid for."""
    input_usd_per_mtok: UsdPerMtok = Field(
        default_factory=lambda data: _managed_token_price(data["offer"], "input")
    )
    """Price of a million input tokens of the tuned model."""
    output_usd_per_mtok: UsdPerMtok = Field(
        default_factory=lambda data: _managed_token_price(data["offer"], "output")
    )
    """Price of a million output tokens of the tuned model."""
    search_runs: Runs = sourced("managed.search_runs")
    """Training jobs run before one is accepted, besides the evaluation iterations."""
    model_life_months: Months = sourced("training.model_life_months")
    """Months until the base model is retired and the tuning must be done again."""
    service_end_months: Months = Field(default_factory=lambda data: _service_end(data["offer"]))
    """Months until the provider ends the tuning service and another one is needed."""
    move_share: Share = sourced("managed.move_share")
    """Work of moving to another tuning service, as a share of the project's."""


def _service_end(offer_id: str) -> Quantity:
    """Months from the date of the offer to its announced end, else the risk of any service."""
    offer = pricing.managed_offer(offer_id)
    if offer.ends_on is None:
        return pricing.assumption("managed.service_end_months")
    days = (offer.ends_on - first_day(offer.as_of)).days
    return Quantity(
        value=max(days, 0) * 12 / 365.25,
        unit="months",
        source=offer.source,
        as_of=offer.as_of,
        evidence=offer.evidence,
        note=f"announced for {offer.ends_on.isoformat()}",
    )


def _managed_token_price(offer_id: str, side: Literal["input", "output"]) -> Quantity:
    """The tuned price, else the base model's, else nothing (dedicated hosting covers tokens)."""
    offer = pricing.managed_offer(offer_id)
    tuned = getattr(offer, f"inference_{side}_usd_per_mtok")
    if tuned is not None:
        return _sourced_price(tuned, offer.source, offer.as_of)
    if offer.token_price_provider and offer.token_price_model:
        model = {"provider": offer.token_price_provider, "model": offer.token_price_model}
        return _token_price(model, f"{side}_usd_per_mtok")
    return _sourced_price(0.0, offer.source, offer.as_of)


class Saas(Section):
    """A bought assistant."""

    plan: str = "intercom-fin"
    """Plan in `tuneroi prices --saas`."""
    price_usd_per_unit: Annotated[Quantity, In("USD/unit", 0)] = Field(
        default_factory=lambda data: _saas_price(data["plan"])
    )
    """Fee per resolution, conversation, message or seat-month, as the plan bills."""
    platform_usd_per_month: UsdPerMonth = Field(
        default_factory=lambda data: _platform_fee(data["plan"])
    )
    """Fixed fee."""
    onboarding_usd: Usd = sourced("saas.onboarding_usd")
    """One-off fee for implementation."""
    minimum_usd_per_month: UsdPerMonth = Field(
        default_factory=lambda data: _minimum_fee(data["plan"])
    )
    """Least that is due in a month, whatever the use."""
    contract_months: Annotated[int, Field(ge=1, le=60)] = 12
    """Months for which a contract fixes the prices; they change when it is renewed."""
    seats: Count = Field(default_factory=lambda: Quantity.of(0))
    """Seats needed, for plans billed by seat."""
    messages_per_request: Factor = sourced("saas.messages_per_request")
    """Messages in one request, for plans billed by message or action."""
    price_change_per_year: YearlyChange = sourced("prices.saas_price_change_per_year")
    """Yearly change of the vendor's prices."""


def _platform_fee(plan_id: str) -> Quantity:
    plan = pricing.saas_plan(plan_id)
    return Quantity(
        value=plan.platform_fee_usd_per_month,
        unit="USD/month",
        source=plan.source,
        as_of=plan.as_of,
        evidence=plan.evidence,
    )


def _minimum_fee(plan_id: str) -> Quantity:
    plan = pricing.saas_plan(plan_id)
    return Quantity(
        value=(plan.commitment_usd_per_year or 0.0) / 12,
        unit="USD/month",
        source=plan.source,
        as_of=plan.as_of,
        evidence=plan.evidence,
    )


def _saas_price(plan_id: str) -> Quantity:
    plan = pricing.saas_plan(plan_id)
    if plan.price is None:
        raise InputError(
            f"saas.price_usd_per_unit: the price of {plan_id!r} is not published; give your own "
            "range, such as {min: 0.3, mode: 0.8, max: 1.5}"
        )
    return plan.price.model_copy(update={"unit": None})


class Training(Section):
    """The run itself, on GPUs that you rent or buy."""

    method: Method = "lora"
    """Full fine-tuning, LoRA, or QLoRA."""
    gpu: str = "h100-sxm5-80gb"
    """GPU to train on, as `tuneroi prices --gpus` names it."""
    gpus: Annotated[int, Field(ge=1, le=100_000)] = 1
    """How many of them."""
    acquisition: Literal["rent", "buy"] = "rent"
    """Rent by the hour, or buy at the start and keep."""
    gpu_usd_per_hour: UsdPerGpuHour = Field(
        default_factory=lambda data: pricing.gpu_price(data["gpu"])
    )
    """Rental price of one GPU for one hour."""
    purchase_usd_per_gpu: Annotated[Quantity, In("USD/GPU", 0)] | None = Field(
        default_factory=lambda data: _purchase_price(data["gpu"])
    )
    """Price of buying one GPU; must be given where no street price is known."""
    epochs: Annotated[Quantity, In("epochs", 0.01)] = sourced("training.epochs")
    """Passes over the training set."""
    sequence_length: Annotated[int, Field(ge=16, le=1_000_000)] = 2048
    """Tokens in one training sequence."""
    lora_rank: Annotated[int, Field(ge=1, le=1024)] = 16
    """Rank of the adapters."""
    stack: Stack = "huggingface"
    """Training software."""
    speed_factor: Factor = Field(
        default_factory=lambda data: shipped_calibration().efficiency_factor(
            pricing.gpu_spec(data["gpu"]).generation, data["stack"]
        )
    )
    """True over predicted training speed, from what the calibration knows of this GPU and stack."""
    search_runs: Runs = sourced("training.search_runs")
    """Runs to settle the settings, besides the evaluation iterations."""
    failed_run_factor: Factor = sourced("training.failed_run_factor")
    """GPU hours paid for over GPU hours of runs that finished."""
    around_run_share: Share = sourced("training.around_run_share")
    """Machine hours of tokenising and evaluating for each hour of a run."""
    retrain_months: Months = sourced("training.retrain_months")
    """Months between retrainings, because knowledge and base models age."""

    @model_validator(mode="after")
    def _a_price_to_buy_at(self) -> Self:
        if self.acquisition == "buy" and self.purchase_usd_per_gpu is None:
            raise ValueError(
                f"acquisition is buy, but no purchase price of {self.gpu!r} is known; "
                "give purchase_usd_per_gpu"
            )
        return self


def _purchase_price(gpu: str) -> Quantity | None:
    price = pricing.gpu_spec(gpu).purchase_price_usd
    return price.model_copy(update={"unit": None}) if price else None


class Owning(Section):
    """What GPUs of your own cost beside their price."""

    server_overhead_factor: Factor = sourced("hardware.server_overhead_factor")
    """Price of the whole server over that of its GPUs."""
    electricity_usd_per_kwh: Annotated[Quantity, In("USD/kWh", 0)] = sourced(
        "hardware.electricity_usd_per_kwh"
    )
    """Price of electricity."""
    pue: Factor = sourced("hardware.pue")
    """Power of the whole data centre over that of its servers."""
    colocation_usd_per_kw_month: Annotated[Quantity, In("USD/kW-month", 0)] = sourced(
        "hardware.colocation_usd_per_kw_month"
    )
    """Rack space and connection."""
    ops_share: Annotated[Quantity, In("share", 0, 1)] = sourced("hardware.ops_share")
    """Support and repair per year, as a share of the price."""
    useful_life_years: Annotated[Quantity, In("years", 0.5)] = sourced("hardware.useful_life_years")
    """Years until only the residual value is left."""
    residual_share: Share = sourced("hardware.residual_share")
    """What is left of the price after that."""


def _serving_speed() -> Quantity:
    """Actual over predicted throughput of many requests at once, from published measurements."""
    spread = serving_constants().spread["batched"]
    provenance = {"source": spread.source, "as_of": spread.as_of, "evidence": spread.evidence}
    return throughput_spread().model_copy(update={"unit": "factor", **provenance})


class Serving(Section):
    """Running a tuned model on your own or rented GPUs."""

    gpu: str = "l40s-48gb"
    """GPU to serve on."""
    gpus_per_replica: Annotated[int, Field(ge=1, le=64)] = 1
    """GPUs that hold one copy of the model."""
    gpu_usd_per_hour: UsdPerGpuHour = Field(
        default_factory=lambda data: pricing.gpu_price(data["gpu"])
    )
    """Rental price of one GPU for one hour."""
    precision: Literal["bf16", "fp8", "int8", "int4"] = "bf16"
    """Weights while serving."""
    price_change_per_year: YearlyChange = sourced("prices.gpu_price_change_per_year")
    """Yearly change of GPU rental prices; both signs have been seen."""
    cloud_bill_factor: Factor = sourced("prices.cloud_bill_factor")
    """Whole cloud bill over its GPU part: storage, network, managed services."""
    on_call_usd_per_month: UsdPerMonth = sourced("serving.on_call_usd_per_month")
    """Allowance for engineers on call."""
    speed_factor: Factor = Field(default_factory=_serving_speed)
    """True over predicted serving speed, from published measurements."""
    spare_replicas: Annotated[int, Field(ge=0, le=100)] = 1
    """Replicas kept beyond what the peak needs, so that one may fail."""
    ttft_seconds: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """Longest time to the first token that users accept."""
    tpot_seconds: Annotated[float, Field(gt=0, le=60)] = 0.1
    """Longest time per further token that users accept."""


class Pretrain(Section):
    """Training the same model from scratch: to show what fine-tuning saves."""

    tokens_per_parameter: Factor = sourced("pretrain.tokens_per_parameter")
    """Training tokens for each parameter."""
    gpus: Annotated[int, Field(ge=1, le=1_000_000)] = 512
    """GPUs used at once."""
    data_usd_per_mtok: UsdPerMtok = sourced("pretrain.data_usd_per_mtok")
    """Collecting, licensing and cleaning a million tokens of text."""


class Staged(Section):
    """A pilot first, and the decision after it."""

    candidate: Candidate | None = None
    """The way that the pilot tries; unless given, the one whose pilot is worth most."""
    pilot_requests: Annotated[Quantity, In("count", 1)] = sourced("staged.pilot_requests")
    """Labelled requests on which the pilot is judged."""
    transfer_error: Annotated[Quantity, In("score", -1, 1)] = sourced("staged.transfer_error")
    """Share answered rightly in the pilot less that in operation, beyond chance."""
    reused_share: Share = sourced("staged.reused_share")
    """Share of the pilot's work that the project which follows need not do again."""


class Team(Section):
    """The people: what a day costs and how much of it the project gets."""

    country: Annotated[str, AfterValidator(country_code)] = "US"
    """Where the team works, by name or ISO code: sets wages and employer's costs."""
    wages_usd_per_year: dict[str, Annotated[Quantity, In("USD/year", 0)]] = Field(
        default_factory=dict
    )
    """Yearly wage by role; roles left out take the sourced default of the country."""
    wage_growth_per_year: YearlyChange = sourced("people.wage_growth_per_year")
    """Yearly growth of wages: of those who keep it running and of those who handle requests."""
    load_factor: Factor = Field(
        default_factory=lambda data: load_factor(data.get("country", HOME_COUNTRY))
    )
    """Cost of employment over the wage."""
    overhead_factor: Factor = sourced("people.overhead_factor")
    """Space, tools and management over the cost of employment."""
    productive_days_per_year: Annotated[Quantity, In("days/year", 1, 366)] = sourced(
        "people.productive_days_per_year"
    )
    """Days a year on which work gets done."""
    availability_share: Share = sourced("people.availability_share")
    """Share of a working day that these people can give to the project."""
    specialists_to_hire: Count = Field(default_factory=lambda: Quantity.of(0))
    """ML or MLOps people who must be found before you can train and serve yourself."""
    specialists: Literal["hire", "contract"] = "hire"
    """Whether they are hired, or contracted for the project."""
    hiring_days: Days = sourced("people.hiring_days")
    """Calendar days to hire one."""
    contracting_days: Days = sourced("people.contracting_days")
    """Calendar days until a contractor starts."""
    contractor_usd_per_hour: Annotated[Quantity, In("USD/hour", 0)] = sourced(
        "people.contractor_usd_per_hour"
    )
    """Rate of a contractor."""
    ramp_up_months: Months = sourced("people.ramp_up_months")
    """Months in which somebody new works at half speed."""
    recruiting_share_of_wage: Share = sourced("people.recruiting_share_of_wage")
    """Fee and effort of hiring, as a share of the yearly wage."""

    @field_validator("wages_usd_per_year", mode="before")
    @classmethod
    def _all_roles(cls, given: Any, info: ValidationInfo) -> Any:
        return over_defaults(given, wages_in(info.data.get("country", HOME_COUNTRY)), "role")
