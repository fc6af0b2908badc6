"""What the sheet and the page of an explanation say in words. Pure."""

import math
import re
from collections.abc import Sequence

from qa_research.explain.images.blanking import Flip
from qa_research.explain.images.result import (
    Counterfactual,
    Explanation,
    Sampling,
    SecondExplanation,
    SurrogateFacts,
)
from qa_research.explain.ranking import StableTop
from qa_research.text import plural

# A word of a command as it is typed: 'in quotes', $'with escapes', or plain; also parts of these in a row.
_SHELL_WORD = re.compile(r"""(?:\$'(?:\\.|[^'\\])*'|'[^']*'|"[^"]*"|[^\s'"])+""")
CURVES = ("deletion", "insertion")
VERDICT_COLOURS = {"stable": "#2c7a3f", "doubtful": "#a85400", "unstable": "#b3243a"}


def meaning(explanation: Explanation) -> str:
    """The verdict's word in a sentence, and which top is stable."""
    verdict = explanation.verdict
    if not verdict.ranks:
        return _meaning_without_ranks(explanation)
    if verdict.word == "unstable":
        return f"Do not rely on these segments. {verdict.ranks}"
    if verdict.word == "stable":
        return f"{verdict.ranks} No check contradicts the explanation{_not_checked(explanation)}."
    return f"{verdict.ranks} But a check contradicts it{_not_checked(explanation)}."


def _meaning_without_ranks(explanation: Explanation) -> str:
    """As `meaning`, for one seed, where nothing changes, and where an earlier version judged."""
    word = explanation.verdict.word
    if word == "unstable":
        return (
            "Do not rely on these segments: the seeds disagree on them, or nothing changes "
            "whatever is switched off."
        )
    if explanation.stability is not None:
        basis = "The seeds agree on the top segments"
    elif explanation.sampling.exact:
        basis = "All possible masks were predicted"
    else:
        basis = "Masks were drawn with only one seed, so it is not known whether others agree"
    if word == "stable":
        return f"{basis}; no check contradicts the top segments{_not_checked(explanation)}."
    return f"{basis}; a check contradicts the explanation{_not_checked(explanation)}."


def _not_checked(explanation: Explanation) -> str:
    """The curves that could not have contradicted: not requested, or compared with too few other orders."""
    curves, level = explanation.curves, 1 - explanation.config["trust"]["confidence"]
    names = [
        name for name in CURVES if curves is None or getattr(curves, name).least_p_value > level
    ]
    return _unchecked(names)


def _unchecked(names: Sequence[str]) -> str:
    """What was not checked, in brackets after what the other checks say."""
    return f" (not checked: {', '.join(names)})" if names else ""


def untried(explanation: Explanation) -> str:
    """What no check of one explanation can show; `command_of_more` does."""
    segmenter, _ = explanation.segmenter
    return (
        f"Not tried: another segmenter than {segmenter} or another baseline than {explanation.baseline}, "
        "with which other parts of the picture may come first"
    )


def command_of_more(explanation: Explanation) -> str:
    """The command that explains the picture with two segmenters and two baselines."""
    # Words stay quoted as they are: what is taken out and put in needs no quotes. Another segmenter does not
    # have the keys of this one.
    _, _, *words = _SHELL_WORD.findall(explanation.command)
    keys = [word.strip("'\"").lstrip("+~").partition("=")[0] for word in words]
    kept = [
        word
        for word, key in zip(words, keys, strict=True)
        if key != "lime.baseline" and key.partition(".")[0] != "segmenter"
    ]
    segmenter, _ = explanation.segmenter
    pairs = (
        ("segmenter", segmenter, ("quickshift", "slic")),
        ("lime.baseline", explanation.baseline, ("grey", "blur")),
    )
    more = [
        f"{key}={own},{next(other for other in others if other != own)}"
        for key, own, others in pairs
    ]
    return " ".join(["qa-research explain -m", *kept, *more])


def shown_top(explanation: Explanation) -> str:
    """What the segments are called that figures show."""
    stable = explanation.stable_top
    if stable is None or stable.repeats == 1:
        return f"the top {explanation.highlighted}"
    if stable.k:
        return f"the stable top {stable.k}"
    return f"the top {explanation.highlighted} (no top is stable)"


def badge(explanation: Explanation) -> str:
    """The verdict's word, with the stable top if seeds were compared."""
    word, stable = explanation.verdict.word, explanation.stable_top
    if word == "stable" and stable is not None and stable.repeats > 1:
        return f"top {stable.k} stable"
    return word


def headline(explanation: Explanation) -> str:
    """The explained class and how sure the classifier is of it."""
    explained = explanation.explained
    place = "" if explained.place == 1 else f", in place {explained.place}"
    return f"{explained.label} ({percent(explained.probability)}{place})"


def facts(explanation: Explanation) -> list[tuple[str, str]]:
    """What the explanation was made with and how it was controlled: (name, value)."""
    classifier, surrogate = explanation.classifier, explanation.surrogate
    segmenter, options = explanation.segmenter
    settings = ", ".join(f"{key} {value}" for key, value in options.items())
    return [
        ("classifier", f"{classifier.name}, {classifier.classes} classes"),
        ("segments", f"{explanation.n_segments} by {segmenter} ({settings})"),
        ("off segments are replaced by", explanation.baseline),
        ("masks", masks_of(explanation.sampling)),
        ("surrogate", f"{surrogate.kind}, R² {number(surrogate.r2)}"),
        *_rounding(surrogate),
        *agreement(explanation, explanation.top),
    ]


def _rounding(surrogate: SurrogateFacts) -> list[tuple[str, str]]:
    """How much of R2's shortfall is bfloat16's rounding, where masks were repeated in float32."""
    rounded, precise = surrogate.r2_repeated, surrogate.r2_in_float32
    if rounded is None or precise is None or math.isnan(rounded) or rounded >= 1:
        return []
    share = percent(max(0.0, precise - rounded) / (1 - rounded))
    return [
        (
            f"{surrogate.repeated} masks again in float32",
            f"R² {number(precise)} instead of {number(rounded)}: {share} of what is missing is rounding",
        )
    ]


def agreement(found: Explanation | SecondExplanation, top: int) -> list[tuple[str, str]]:
    """How far the seeds agree, in the first explanation or in the one after blanking."""
    stable, separation = found.stability, found.separation
    rows = _stable_top(found.stable_top)
    if stable is not None:
        rows += [
            (
                f"Jaccard index of the seeds' top {len(stable.tops[0])}",
                f"{number(stable.jaccard)} (worst pair {number(stable.least_jaccard)}, "
                f"by chance {number(stable.chance_jaccard)})",
            ),
            ("rank correlation of the seeds", number(stable.rank_correlation)),
            ("sign agreement of the seeds", number(stable.sign_agreement)),
        ]
    if not found.sampling.exact and separation.z is not None:
        rows.append(
            (
                f"ranks {top} and {top + 1}",
                f"{'separate' if separation.separate else 'not separate'} "
                f"(z {number(separation.z)}, needed {number(separation.needed)})",
            )
        )
    return rows


def _stable_top(found: StableTop | None) -> list[tuple[str, str]]:
    if found is None or found.repeats == 1:
        return []
    chance = "< 0.001" if found.chance < 0.001 else f"{found.chance:.3f}"
    agree = f"largest top on which all {found.repeats} seeds agree"
    return [(agree, f"{found.k} of {found.items} (any top by chance: {chance})")]


def masks_of(sampling: Sampling) -> str:
    """How many masks there were, and from where."""
    if sampling.exact:
        return f"all {sampling.masks} possible ones"
    return f"{sampling.masks} ({plural(sampling.seeds, 'seed')} × {sampling.samples})"


def no_seeds(sampling: Sampling) -> str:
    """Why there is no agreement of seeds to show."""
    if sampling.exact:
        return (
            f"All {sampling.masks} possible masks were predicted.\n"
            "Nothing was drawn, so other seeds give the same result."
        )
    return "Masks were drawn with only one seed:\nhow far seeds agree is not known."


def sentence_case(text: str) -> str:
    """With a capital first letter; the others stay as they are."""
    return text[:1].upper() + text[1:]


def percent(probability: float) -> str:
    """At most three digits, and a zero only for zero.

    >>> percent(0.0004), percent(0.0276), percent(0.9)
    ('< 0.1 %', '2.8 %', '90 %')
    """
    value = 100 * probability
    if 0 < value < 0.05:
        return "< 0.1 %"
    return f"{value:.0f} %" if 10 <= value < 99.5 or value in (0, 100) else f"{value:.1f} %"


def number(value: float) -> str:
    """Two decimals."""
    return "undefined" if math.isnan(value) else f"{value:.2f}"


def listed(numbers: Sequence[int]) -> str:
    """`segment 4`, `segments 4, 3, 6`."""
    return f"segment{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers))}"


def blanking_summary(found: Counterfactual) -> list[str]:
    """The counterfactual in sentences."""
    first, second = found.first, found.second
    moves = "falls" if first.probability_after <= first.probability else "rises"
    if found.flipped:
        outcome = f", and {second.label} wins with {percent(second.probability_after)}."
    elif first.place == 1:
        outcome = ", and still wins."
    else:
        outcome = f"; {second.label} still wins."
    sentences = [
        f"Without {listed(found.segments)} ({percent(found.area)} of the area) {first.label} {moves} "
        f"from {percent(first.probability)} to {percent(first.probability_after)}{outcome}"
    ]
    if found.flipped:
        sentences.append(
            f"At first {second.label} was in place {second.place} with {percent(second.probability)}."
        )
    sentences.append(control_sentence(found))
    if found.flip is not None:
        sentences.append(flip_sentence(found.flip))
    if found.explained_again is not None:
        sentences += second_sentences(second.label, found.explained_again)
    return sentences


def control_sentence(found: Counterfactual) -> str:
    """What blanking as much area elsewhere did, and how likely that is by chance."""
    control, n = found.control, len(found.control.sets)
    if not n:
        return (
            "No other set of segments has as much area, so there is nothing to compare this with."
        )
    sets = f"all {n} other sets" if control.complete else f"{n} random sets"
    as_far = control.as_low(found.first.probability_after) or "none"
    said = f"Of {sets} of segments with as much area, {as_far} lower {found.first.label} as far"
    if control.p_value is None or found.searched:
        return f"{said}; no p value, because this set was found by searching for such an effect."
    least = 1 / (n + 1)
    limit = "" if least <= 0.05 else f"; it cannot be below {least:.3f} with so few"
    return f"{said} (p {control.p_value:.3f}{limit})."


def second_sentences(label: str, again: SecondExplanation) -> list[str]:
    """The verdict on the explanation after blanking, which has its own controls."""
    if again.verdict is None:
        return []
    # No curves are made of a second explanation.
    is_stable = again.verdict.word == "stable"
    word = f"stable{_unchecked(CURVES)}" if is_stable else again.verdict.word
    said = f"Explained again, {label}: {word}, R² {number(again.r2)}."
    return [" ".join([said, *filter(None, [again.verdict.ranks, *again.verdict.doubts])])]


def flip_sentence(flip: Flip) -> str:
    """What the search for a smallest set of segments that changes the class has found."""
    tried = f"({flip.tried} sets tried)"
    if flip.segments is None:
        return f"No set of segments was found that changes the class {tried}."
    verb = "changes" if len(flip.segments) == 1 else "change"
    smaller = (
        "no smaller set does"
        if flip.proven_smallest
        else "a smaller set may do so too, which counterfactual.max_predictions allows to try"
    )
    return f"{listed(flip.segments).capitalize()} {verb} the class; {smaller} {tried}."


def caption(name: str, explanation: Explanation) -> str:
    """What a figure shows, in a sentence or two."""
    if name == "masks" and explanation.sampling.exact:
        return "How many segments were on in each mask: every possible mask once."
    if name == "top":
        return CAPTIONS[name].format(top=shown_top(explanation))
    return CAPTIONS[name]


CAPTIONS = {
    "segments": "The pieces that were switched on and off, each with its number. "
    "Pale lines mark their borders.",
    "heat": "Blue segments support the class, orange ones oppose it; the stronger the colour, the "
    "larger the coefficient.",
    "top": "Left, the picture with only {top} on; right, without it. "
    "Elsewhere you see what replaced the other segments.",
    "coefficients": "A bar for each segment: how much the class's probability rises while it is on, "
    "all else being equal. A segment whose line crosses zero may have no effect.",
    "masks": "How many segments were on in each mask. Each is on with probability 1/2, so most masks "
    "have about half of them on.",
    "residuals": "One dot per mask. If the surrogate were the classifier, all would lie on the line.",
    "curves": "The ranking's curve should fall faster (deletion) or rise faster (insertion) than those "
    "of segments in random order, the grey band.",
    "stability": "Above: the coefficients from each seed's own masks, which are fewer, so that they "
    "scatter. Below: each seed's top segments; seeds that agree fill whole columns.",
    "blanked": "The picture with those segments off, replaced as they were for the explanation.",
    "classes": "The three likeliest classes of the whole picture and of the blanked one.",
    "control": "How far the explained class falls without the blanked segments (diamond) and "
    "without others of about as much area (circles; full if another class wins).",
    "second_heat": "The picture without those segments is explained again: what now supports the class "
    "that now wins.",
    "second_coefficients": "The coefficients of that second explanation, for the segments that are left.",
}
