"""A tiny tokenizer of every family, trained on a few lines in several scripts."""

from functools import cache

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizer, PreTrainedTokenizerFast

from qa_research.model.tokenizer import SPECIAL_TOKENS, _train

LINES = [
    "Ana Torres keeps the cafe near the old mill; it opens at seven.",
    "Le caf\u00e9 de No\u00ebl ferme \u00e0 midi, dit Zo\u00eb M\u00fcller.",
    "\u0905\u0928\u0940\u0924\u093e \u0939\u093f\u0928\u094d\u0926\u0940 "
    "\u092a\u0922\u093c\u093e\u0924\u0940 \u0939\u0948\u0964",
    "\u0643\u062a\u0628\u0651 \u0633\u0645\u064a\u0631\u064c "
    "\u0627\u0644\u062f\u0631\u0633\u064e \u0641\u064a \u0627\u0644\u0635\u0628\u0627\u062d",
    "\u90ae\u5c40\u5728\u6865\u7684\u5bf9\u9762\uff0c\u4e03\u70b9\u5f00\u95e8\u3002",
    "room 12, floor 3 (left): 4.50 crowns!",
]
MARKERS = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
FAMILIES = ("wordpiece", "byte_bpe", "unigram")


@cache
def tokenizer_of(family: str):
    """The tokenizer of a family; the vocabulary is so small that words are many tokens."""
    if family == "wordpiece":
        return BertTokenizer(vocab={word: i for i, word in enumerate(_train(LINES, 260))})
    if family == "byte_bpe":
        backend = Tokenizer(models.BPE())
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.train_from_iterator(
            LINES,
            trainers.BpeTrainer(
                vocab_size=330,
                special_tokens=list(MARKERS),
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            ),
        )
    else:
        backend = Tokenizer(models.Unigram())
        backend.normalizer = normalizers.NFKC()
        backend.pre_tokenizer = pre_tokenizers.Metaspace()
        backend.train_from_iterator(
            LINES,
            trainers.UnigramTrainer(
                vocab_size=150,
                special_tokens=list(MARKERS),
                unk_token="<unk>",
                show_progress=False,
            ),
        )
    # Offsets are left as the tokenizer counts them, with the blank before a word, as ModernBERT's are.
    backend.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>",
        pair="<s> $A </s> $B </s>",
        special_tokens=[("<s>", 0), ("</s>", 2)],
    )
    names = {"cls": "<s>", "sep": "</s>", "pad": "<pad>", "unk": "<unk>", "mask": "<mask>"}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, **{f"{name}_token": token for name, token in names.items()}
    )


ALL_MARKERS = (*SPECIAL_TOKENS, *MARKERS)
