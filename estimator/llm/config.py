"""A config.json read with suspicion: every value is checked before a formula sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NoReturn, TypeVar

from estimator.errors import InputError
from estimator.llm.class_defaults import class_defaults

MAX_LAYERS = 10_000
MAX_WIDTH = 1_000_000
MAX_VOCAB = 10_000_000
MAX_EXPERTS = 100_000
MAX_CONTEXT = 10_000_000_000

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelConfig:
    """The values of a config.json, with the defaults of its `transformers` class behind them."""

    values: Mapping[str, object]
    family: str
    defaults: Mapping[str, object]
    aliases: Mapping[str, str]
    id: str = ""

    @classmethod
    def of(
        cls,
        values: Mapping[str, object],
        *,
        family: str,
        defaults: str,
        aliases: Mapping[str, str],
        id: str,
    ) -> "ModelConfig":
        """`values` as a config of `family`, with the defaults of the class of `defaults`;
        `aliases` are names of keys beyond those of the class."""
        known = class_defaults(defaults)
        return cls(
            values=values,
            family=family,
            defaults=known.values,
            aliases={**known.aliases, **aliases},
            id=id,
        )

    @property
    def where(self) -> str:
        """How messages name this config."""
        return f"config of {self.id}" if self.id else f"config ({self.family})"

    def refuse(self, key: str, allowed: str) -> NoReturn:
        """Raise the one-line error for the value of `key`."""
        shown = repr(self.get(key))
        shown = shown if len(shown) <= 60 else shown[:57] + "..."
        if not any(name in self.values for name in self.names(key)):
            shown += " (not stated: the transformers class assumes it)"
        raise InputError(f"{self.where}: {key} is {shown}; allowed: {allowed}")

    def names(self, key: str) -> list[str]:
        """Every spelling under which `key` may stand in the config, the class's own first."""
        own = self.aliases.get(key, key)
        return [own, *(alias for alias, target in self.aliases.items() if target == own)]

    def states(self, key: str) -> bool:
        """Whether the config itself gives a value for `key`."""
        return any(self.values.get(name) is not None for name in self.names(key))

    def get(self, key: str) -> object:
        """The stated value of `key` (null overrules the class), else the class default."""
        names = self.names(key)
        found = {name: self.values[name] for name in names if name in self.values}
        stated = [value for value in found.values() if value is not None]
        if any(value != stated[0] for value in stated):
            both = ", ".join(f"{name} {value!r}" for name, value in found.items())
            raise InputError(f"{self.where}: {both} contradict one another; give one of them")
        if stated:
            return stated[0]
        if found:
            return None
        return next((self.defaults[name] for name in names if name in self.defaults), None)

    def optional(self, key: str, *, least: int = 1, most: int = MAX_WIDTH) -> int | None:
        """The whole number under `key`; None where neither config nor class gives one."""
        value = self.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            self.refuse(key, f"a whole number from {least} to {most}")
        return value

    def integer(
        self, key: str, *, default: int | None = None, least: int = 1, most: int = MAX_WIDTH
    ) -> int:
        """The whole number under `key`, which must exist unless `default` stands in for it."""
        value = self.optional(key, least=least, most=most)
        if value is None:
            value = default
        if value is None:
            raise InputError(
                f"{self.where}: {key} is missing; give a whole number from {least} to {most}"
            )
        return value

    def flag(self, key: str, *, default: bool = False) -> bool:
        """The true or false under `key`; null is false, absent is `default`."""
        value = self.get(key)
        if value is None:
            return default and not any(name in self.values for name in self.names(key))
        if not isinstance(value, bool):
            self.refuse(key, "true or false")
        return value

    def text(self, key: str, *, default: str = "") -> str:
        """The string under `key`."""
        value = self.get(key)
        if value is None:
            return default
        if not isinstance(value, str):
            self.refuse(key, "a string")
        return value

    def fraction(self, key: str, *, default: float = 0.0) -> float:
        """The number from 0 to 1 under `key`."""
        value = self.get(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self.refuse(key, "a number from 0 to 1")
        return float(value)

    def list_of(self, key: str, kind: type[_Value]) -> list[_Value] | None:
        """The list under `key` whose entries are all of `kind`; None where there is none."""
        value = self.get(key)
        if value is None:
            return None
        names = {int: "whole numbers", str: "strings"}
        entries = value if isinstance(value, list | tuple) else None
        if entries is None or any(type(entry) is not kind for entry in entries):
            self.refuse(key, f"a list of {names.get(kind, kind.__name__)}")
        return list(entries)

    def nested(self, key: str) -> "ModelConfig":
        """The config nested under `key`."""
        value = self.values.get(key)
        if value is None:
            value = {}
        if not isinstance(value, Mapping):
            self.refuse(key, "a mapping")
        defaults = self.defaults.get(key)
        return ModelConfig(
            values=value,
            family=f"{self.family}.{key}",
            defaults=defaults if isinstance(defaults, Mapping) else {},
            aliases={},
            id=f"{self.id} ({key})" if self.id else "",
        )

    def layers(self, key: str = "num_hidden_layers") -> int:
        """The number of layers under `key`."""
        return self.integer(key, most=MAX_LAYERS)

    def vocab(self, key: str = "vocab_size") -> int:
        """The rows of the token table under `key`."""
        return self.integer(key, most=MAX_VOCAB)

    def per_layer(self, key: str, count: int) -> list[str] | None:
        """The kind of each of `count` layers that a list such as `layer_types` states."""
        kinds = self.list_of(key, str)
        if kinds is not None and len(kinds) != count:
            self.refuse(key, f"one entry for each of the {count} layers, not {len(kinds)}")
        return kinds
