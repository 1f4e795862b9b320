"""Charts of a dataset: how long its examples are, and how well they fill sequences."""

from estimator.dataset import DatasetProfile
from estimator.report.charts import Chart
from estimator.report.dataset import length_histogram
from estimator.report.figures import BLUE, axis, hidden_axis, layout_of, row_layout, track

SEQUENCE_LENGTHS = (256, 512, 1024, 2048, 4096, 8192, 16384)


def length_chart(profile: DatasetProfile) -> Chart | None:
    """Examples by length in tokens; None where lengths are not known."""
    if profile.lengths is None:
        return None
    rows = length_histogram(profile.lengths)
    labels, counts = [label for label, _ in rows], [count for _, count in rows]
    layout = layout_of(300, left=52, bottom=52, top=8)
    layout["xaxis"] = axis("tokens of an example, from") | {
        "type": "category",
        "showgrid": False,
        "tickvals": labels[::2],
        "ticktext": [label.partition(" ")[0] for label in labels[::2]],
        "tickangle": 0,
    }
    layout["yaxis"] = axis("examples")
    bars = {
        "type": "bar",
        "x": labels,
        "y": counts,
        "marker": {"color": BLUE},
        "hovertext": [f"{count:,.0f} examples" for count in counts],
        "hoverinfo": "text",
    }
    lengths = profile.lengths
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"Half of the examples have {lengths.quantile(0.5):,} tokens or less, 95 in 100 "
        f"{lengths.quantile(0.95):,} or less, the longest {lengths.longest:,}.",
        columns=("Tokens", "Examples"),
        rows=tuple((label, f"{count:,.0f}") for label, count in rows),
    )


def packing_chart(profile: DatasetProfile) -> Chart | None:
    """Share of positions that hold useful tokens, packed, by sequence length."""
    if profile.lengths is None:
        return None
    fits = [fit for n in SEQUENCE_LENGTHS if (fit := profile.fit_at(n)) is not None]
    shares = [fit.packing_efficiency for fit in fits]
    labels = [f"{fit.sequence_length:,} tokens" for fit in fits]
    shown = [f"{share:.0%}" for share in shares]
    layout = row_layout(labels, shown)
    layout["xaxis"] = hidden_axis() | {"range": [0, 1]}
    layout["shapes"] = [track(row) for row in range(len(labels))]
    bars = {
        "type": "bar",
        "orientation": "h",
        "x": shares,
        "y": list(range(len(labels))),
        "width": 0.36,
        "marker": {"color": BLUE},
        "hoverinfo": "skip",
    }
    uncut = next((fit for fit in fits if not fit.truncated_examples), None)
    cut = f"{uncut.sequence_length:,} tokens cut nothing off" if uncut else "every length cuts some"
    return Chart(
        figure={"data": [bars], "layout": layout},
        finding=f"Share of a packed sequence that is filled, by its length; {cut}.",
        columns=("Sequence length", "Packed", "Padded", "Examples cut off"),
        rows=tuple(
            (
                f"{fit.sequence_length:,}",
                f"{fit.packing_efficiency:.0%}",
                f"{fit.padding_efficiency:.0%}",
                f"{fit.truncated_examples:,}",
            )
            for fit in fits
        ),
    )
