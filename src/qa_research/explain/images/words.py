"""What the sheet and the page of an explanation say in words. Pure."""

from collections.abc import Mapping
from typing import Any

from qa_research.explain.images.charts import percent
from qa_research.explain.images.result import Story

VERDICTS = {"stable": "#2c7a3f", "doubtful": "#a85400", "unstable": "#b3243a"}


def meaning(story: Story) -> str:
    """The verdict's word in a sentence."""
    word = story.document["verdict"]["word"]
    if word == "unstable":
        return (
            "Do not rely on these segments: the seeds disagree on them, or nothing changes "
            "whatever is off."
        )
    if story.document["stability"] is not None:
        basis = "The seeds agree on the top segments"
    elif story.document["sampling"]["exact"]:
        basis = "All masks that there are were predicted"
    else:
        basis = "One seed alone was drawn, so whether others agree is not known"
    if word == "stable":
        return f"{basis}; no control speaks against the top segments."
    return f"{basis}; a control speaks against the explanation."


def headline(story: Story) -> str:
    """The class that is explained and how sure the classifier is of it."""
    explained = story.document["explained"]
    place = "" if explained["place"] == 1 else f", its place {explained['place']}"
    return f"{explained['label']} ({percent(explained['probability'])}{place})"


def facts(story: Story) -> list[tuple[str, str]]:
    """What the explanation was made with and how it was controlled: (name, value)."""
    document = story.document
    classifier, sampling = document["classifier"], document["sampling"]
    found = [
        ("classifier", f"{classifier['name']}, {classifier['classes']} classes"),
        ("segments", f"{story.n_segments}{_by_segmenter(document['config'])}"),
    ]
    if baseline := document["config"]["lime"].get("baseline"):
        found.append(("a segment that is off is", str(baseline)))
    found += [
        ("masks", masks_of(sampling)),
        ("surrogate", f"{document['surrogate']['kind']}, R² {number(story.r2)}"),
    ]
    return found + agreement(document, story.top)


def agreement(found: Mapping[str, Any], top: int) -> list[tuple[str, str]]:
    """How far the seeds agree, of the first explanation or of the one after blanking."""
    stable, apart = found["stability"], found["separation"]
    shown = []
    if stable is not None:
        shown += [
            (
                f"Jaccard index of the seeds' top {len(stable['tops'][0])}",
                f"{number(stable['jaccard'])} (worst pair {number(stable['least_jaccard'])}, "
                f"by chance {number(stable['chance_jaccard'])})",
            ),
            ("rank correlation of the seeds", number(stable["rank_correlation"])),
            ("sign agreement of the seeds", number(stable["sign_agreement"])),
        ]
    if not found["sampling"]["exact"] and apart["z"] is not None:
        is_separate = "told apart" if apart["separate"] else "not told apart"
        shown.append(
            (
                f"ranks {top} and {top + 1}",
                f"{is_separate} (z {number(apart['z'])}, needed {number(apart['needed'])})",
            )
        )
    return shown


def masks_of(sampling: Mapping[str, Any]) -> str:
    """How many masks there were, and from where."""
    if sampling["exact"]:
        return f"all {sampling['masks']} that there are"
    seeds = sampling["seeds"]
    return f"{sampling['masks']} ({seeds} seed{'s' * (seeds != 1)} × {sampling['samples']})"


def no_seeds(sampling: Mapping[str, Any]) -> str:
    """Why there is no agreement of seeds to be shown."""
    if sampling["exact"]:
        return (
            f"All {sampling['masks']} masks that there are were predicted.\n"
            "Nothing was drawn, so other seeds give the same."
        )
    return "Masks were drawn with one seed alone:\nhow far seeds agree is not known."


def number(value: float | None) -> str:
    """Two decimals."""
    return "not a number" if value is None else f"{value:.2f}"


def blanking_summary(found: Mapping[str, Any]) -> list[str]:
    """The counterfactual in sentences."""
    first, second, control = found["first"], found["second"], found["control"]
    names = ", ".join(str(i) for i in found["segments"])
    many = len(found["segments"]) != 1
    after = percent(first["probability_after"])
    said = [
        f"Without segment{'s' * many} {names} ({percent(found['area'])} of the area) "
        f"{first['label']} falls from {percent(first['probability'])} to {after}"
        if first["probability_after"] <= first["probability"]
        else f"Without segment{'s' * many} {names} ({percent(found['area'])} of the area) "
        f"{first['label']} rises from {percent(first['probability'])} to {after}",
    ]
    said[0] += (
        f", and {second['label']} wins with {percent(second['probability_after'])}."
        if found["flipped"]
        else ", and still wins."
        if first["place"] == 1
        else f"; {second['label']} still wins."
    )
    if found["flipped"]:
        said.append(
            f"At first {second['label']} had place {second['place']} and "
            f"{percent(second['probability'])}."
        )
    said.append(control_sentence(control))
    flip = found["flip"]
    if flip is not None:
        said.append(_flip_sentence(flip))
    return said


def control_sentence(control: Mapping[str, Any]) -> str:
    """What as much area at random does."""
    n = len(control["sets"])
    as_far = round(control["p_value"] * (n + 1)) - 1
    return (
        f"Of {n} random sets of segments with as much area, {as_far or 'none'} lower it as far "
        f"(p {control['p_value']:.3f})."
    )


def _flip_sentence(flip: Mapping[str, Any]) -> str:
    if flip["segments"] is None:
        return f"No set of segments that changes the class was found ({flip['tried']} sets tried)."
    names = ", ".join(str(i) for i in flip["segments"])
    proven = "no smaller set does it" if flip["proven_smallest"] else "a smaller set may do it, too"
    return f"Segments {names} change the class; {proven} ({flip['tried']} sets tried)."


def _by_segmenter(config: Mapping[str, Any]) -> str:
    section = config.get("segmenter")
    if not section:
        return ""
    settings = ", ".join(f"{k} {v}" for k, v in section.items() if k != "_target_")
    name = str(section.get("_target_", "")).rsplit(".", 1)[-1].lower()
    return f" by {name} ({settings})" if settings else f" by {name}"


CAPTIONS = {
    "segments": "The pieces that were switched on and off, each with its number. "
    "Pale lines: where one ends and the next begins.",
    "heat": "Blue segments support the class, orange ones oppose it; the stronger the colour, the "
    "larger the coefficient.",
    "top": "Left the picture with only its top segments on, right without them. "
    "Everything else is what really stood there while it was explained.",
    "coefficients": "A bar for each segment: how much the class's probability rises while it is on, "
    "all else equal. A bar whose line crosses zero may as well do nothing.",
    "masks": "How many segments were on in each mask. Each is on with probability 1/2, so most masks "
    "have about half of them on.",
    "residuals": "Each dot: one mask. If the surrogate were the classifier, all would lie on the line.",
    "curves": "The ranking's curve should fall faster (deletion) or rise faster (insertion) than those "
    "of segments in random order, the grey band.",
    "stability": "Above: the coefficients that each seed's masks alone give (fewer masks, so ridge draws "
    "them nearer to zero). Below: which segments each seed has among its top; seeds that agree fill whole "
    "columns.",
    "blanked": "The picture with those segments off, by the same means as while it was explained.",
    "classes": "The three likeliest classes of the whole picture and of the blanked one.",
    "control": "How far the class that won at first falls without the blanked segments (diamond) and "
    "without random ones of about as much area (circles; full where another class wins).",
    "second_heat": "The picture without those segments is explained again: what speaks now for the class "
    "that wins now.",
    "second_coefficients": "The coefficients of that second explanation, of the segments that are left.",
}
