"""The verdict: one sentence, the reason in money, how sure, what would flip it, what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from estimator.decision.choose import (
    Closeness,
    Payoffs,
    probability_best,
    ranking,
    too_close_to_call,
)
from estimator.decision.flips import Flip, flips
from estimator.decision.information import Inputs, evpi, evppi_all
from estimator.decision.wording import (
    about,
    capitalised,
    chance_adverb,
    confidence,
    listed,
    money,
    percent,
    value_with_unit,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What the sentences need to know beside the payoffs."""

    materiality_usd: float
    """Difference in NPV below which the user does not care."""
    horizon_months: int
    labels: Mapping[str, str] = field(default_factory=dict)
    """Words for alternatives, inputs and components as they read inside a sentence ("RAG", "doing
    nothing", "the share of requests resolved"); whatever has none is called by its id."""
    units: Mapping[str, str] = field(default_factory=dict)
    """Unit of each input."""
    components: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Mean present value by component of each alternative, in USD: benefits positive, costs
    negative."""
    baseline: str = "status_quo"
    """The alternative against which every NPV is measured."""

    def label(self, name: str) -> str:
        """What an alternative, input or component is called inside a sentence."""
        return self.labels.get(name, name)

    def question(self, name: str) -> str:
        """What there is to find out about an input: of an event, whether it happens."""
        event = self.units.get(name) == "probability"
        return f"whether {self.label(name)}" if event else self.label(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer. All money is expected NPV over the horizon, in USD."""

    alternative: str
    """The one with the highest expected payoff, also when it is too close to call."""
    sentence: str
    reason: str
    """Why, in money; part of the sentence."""
    confidence: str
    """A word and the chance of being best, such as "likely, 78 %"."""
    probability_best: float
    runner_up: str | None
    gain_usd: float | None
    """How much more the best is worth than the runner-up."""
    too_close: bool
    contenders: tuple[str, ...]
    """The best and every alternative too close to it."""
    flips: tuple[Flip, ...]
    flip_sentences: tuple[str, ...]
    evpi_usd: float
    next_step: str


def verdict(
    payoffs: Payoffs,
    inputs: Inputs,
    context: Context,
    *,
    evppi_usd: Mapping[str, float] | None = None,
    chances: Mapping[str, float] | None = None,
) -> Verdict:
    """The answer to "which alternative?" from NPV per draw and the inputs of the same draws.

    `evppi_usd`: result of `evppi_all`, if it is there already. `chances`: how often each is the
    best, where more alternatives take part than `payoffs` names.
    """
    worth = evppi_all(payoffs, inputs) if evppi_usd is None else evppi_usd
    best, *others = ranking(payoffs)
    runner_up = others[0] if others else None
    chance = (chances or probability_best(payoffs))[best]
    close = too_close_to_call(payoffs, materiality_usd=context.materiality_usd)
    tied = close.too_close
    reason = _closeness(close, context) if tied else _reason(payoffs, best, runner_up, context)
    if tied:
        sentence = f"Too close to call: {reason}; {_settles(close, worth, context)}."
    else:
        sentence = _clear(best, runner_up, chance, reason, context)
    found = flips(payoffs, inputs, best, evppi_usd=worth)
    perfect = evpi(payoffs)
    return Verdict(
        alternative=best,
        sentence=sentence,
        reason=reason,
        confidence=("too close to call, " + percent(chance)) if tied else confidence(chance),
        probability_best=chance,
        runner_up=runner_up,
        gain_usd=float((payoffs[best] - payoffs[runner_up]).mean()) if runner_up else None,
        too_close=tied,
        contenders=close.contenders,
        flips=found,
        flip_sentences=tuple(flip_sentence(flip, context) for flip in found),
        evpi_usd=perfect,
        next_step=_next_step(close, worth, perfect, context),
    )


def flip_sentence(flip: Flip, context: Context) -> str:
    """One flip in words: which input, beyond which value, who takes over."""
    winner = capitalised(context.label(flip.alternative))
    name, unit = context.label(flip.input), context.units.get(flip.input)
    if flip.side == "at" and unit == "probability":
        return f"{winner} becomes the best choice {'if' if flip.value else 'unless'} {name}."
    digits = 2
    while digits < 4 and _same(flip.value, flip.median, unit, digits):
        digits += 1
    value = value_with_unit(flip.value, unit, digits)
    side = "" if flip.side == "at" else f"{flip.side} "
    number, _, rest = value_with_unit(flip.median, unit, digits).partition(" ")
    typical = f"{number} {rest}" if rest.startswith("%") else number
    already = flip.side == ("above" if flip.median > flip.value else "below")
    likely = ", so more likely than not" if already and flip.median != flip.value else ""
    return (
        f"{winner} becomes the best choice if {name} is {side}{value} "
        f"(expected: {typical}{likely})."
    )


def _same(a: float, b: float, unit: str | None, digits: int) -> bool:
    return value_with_unit(a, unit, digits) == value_with_unit(b, unit, digits)


def _clear(best: str, runner_up: str | None, chance: float, reason: str, context: Context) -> str:
    label, adverb = capitalised(context.label(best)), chance_adverb(chance)
    if runner_up is None:
        return f"{label} is the only alternative compared: {reason}."
    if adverb is not None:
        return f"{label} is {adverb} the best choice ({percent(chance)}) because {reason}."
    return (
        f"{label} is the best choice on average, though it comes out best in only "
        f"{percent(chance)} of cases, because {reason}."
    )


def _reason(payoffs: Payoffs, best: str, runner_up: str | None, context: Context) -> str:
    """Why the best is the best, in money against the next."""
    over = f"over {context.horizon_months} months"
    if runner_up is None:
        worth = float(payoffs[best].mean())
        verb = "loses" if worth < 0 else "saves"
        return f"it {verb} {about(worth)} {over} against {context.label(context.baseline)}"
    gain = float((payoffs[best] - payoffs[runner_up]).mean())
    label = context.label(runner_up)
    if best == context.baseline:
        spent = _largest_cost(context.components.get(runner_up, {}), context)
        return (
            f"even {label}, the next best, costs {about(gain)} more than it brings in {over}{spent}"
        )
    mostly = _driver(best, runner_up, context)
    if runner_up == context.baseline:
        return f"it saves {about(gain)} {over} against {label}{mostly}"
    reason = f"it saves {about(gain)} more {over} than {label}{mostly}"
    if (loss := float(payoffs[best].mean())) < 0:
        reason += f", though it still loses {about(loss)} against {context.label(context.baseline)}"
    return reason


def _driver(best: str, runner_up: str, context: Context) -> str:
    """The component that does most for the best against the runner-up: ", mostly by ..."."""
    ours, theirs = (context.components.get(name, {}) for name in (best, runner_up))
    gains = {c: ours.get(c, 0.0) - theirs.get(c, 0.0) for c in sorted({*ours, *theirs})}
    helping = {c: gain for c, gain in gains.items() if gain > 0}
    if not helping:
        return ""
    most = max(helping, key=lambda c: helping[c])
    is_cost = ours.get(most, 0.0) <= 0
    word = "mostly" if helping[most] >= sum(helping.values()) / 2 else "above all"
    return f", {word} {'by spending less on' if is_cost else 'from'} {context.label(most)}"


def _largest_cost(components: Mapping[str, float], context: Context) -> str:
    costs = {name: -value for name, value in sorted(components.items()) if value < 0}
    if not costs:
        return ""
    return f" (its largest cost: {context.label(max(costs, key=lambda name: costs[name]))})"


def _closeness(close: Closeness, context: Context) -> str:
    """Who the contenders are, how far apart, and why that is too close."""
    names = listed([context.label(name) for name in close.contenders])
    over = f"over {context.horizon_months} months"
    if close.spread_usd == 0:
        return f"{names} are worth the same {over}"
    if len(close.contenders) == 2:
        apart = f"{names} differ by {about(close.spread_usd)} {over}"
    else:
        apart = f"{names} lie within {about(close.spread_usd)} of each other {over}"
    if close.reason == "noise":
        return f"{apart}, which is within the simulation's own error"
    return f"{apart}, less than the {money(context.materiality_usd)} that matters to you"


def _settles(close: Closeness, worth: Mapping[str, float], context: Context) -> str:
    most = _most_worth_knowing(worth, context)
    if close.reason == "noise":
        return "more draws would tell them apart"
    if most is None:
        return "nothing worth finding out would settle it, so take what is easiest to undo"
    return f"knowing {context.question(most)} would do most to settle it"


def _next_step(
    close: Closeness, worth: Mapping[str, float], evpi_usd: float, context: Context
) -> str:
    """What to do now: find something out, or go ahead, with what knowing more is worth."""
    most = _most_worth_knowing(worth, context)
    if most is not None:
        value = about(worth[most])
        return f"First find out: {context.question(most)}; knowing it is worth up to {value}."
    go = "Take what is easiest to undo" if close.too_close else "Go ahead"
    if evpi_usd < 1:
        return f"{go}: nothing that may turn out would change the answer."
    if evpi_usd <= context.materiality_usd:
        return f"{go}: even knowing everything would be worth only {about(evpi_usd)}."
    return (
        f"{go}: no single input is worth finding out first, "
        f"though knowing everything would be worth {about(evpi_usd)}."
    )


def _most_worth_knowing(worth: Mapping[str, float], context: Context) -> str | None:
    """The input of highest EVPPI, if that is more than what matters to the user."""
    worthwhile = [name for name in sorted(worth) if worth[name] > context.materiality_usd]
    return max(worthwhile, key=lambda name: worth[name]) if worthwhile else None
