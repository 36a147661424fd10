"""What curation at scale costs, and what it loses: `python -m tests.bench.curation --captions 50000`.

The captions are made by a grammar (91 sources, two to four words for what each does, 20 places and 21 manners, one to
three sources in a caption, the common ones often): they stand in for AudioCaps, which cannot be shipped.

Three numbers: time and peak memory of `curate.assign_donors` on all captions; the mean similarity of the pairs beside
a bound below which no assignment can be (the mean of each caption's least similarity to any other); and on 2,000
captions the mean similarity found in blocks, in the same proportion, beside the best there is.
"""

import argparse
import json
import resource
import time

import numpy as np

from avnb.datasets import curate
from avnb.datasets.similarity import embedded, products
from avnb.media.clip import Clip

SOURCES = {
    "a man speaks gives-a-speech talks murmurs": 8,
    "a woman speaks laughs talks sings": 7,
    "a child laughs shouts giggles speaks": 4,
    "a baby cries babbles wails": 3,
    "a crowd cheers applauds chatters": 4,
    "music plays swells fades": 5,
    "wind blows howls rustles": 4,
    "rain falls patters pours": 3,
    "a car passes accelerates idles revs": 5,
    "birds chirp sing twitter": 5,
    "a dog barks growls whimpers howls": 4,
    "water splashes gurgles flows drips": 4,
} | {
    f"{'an' if name[0] in 'aeiou' else 'a'} {name}": 1
    for name in (  # noqa: SIM905
        "cat meows purrs hisses|goat bleats calls|sheep bleats baas|cow moos lows|horse neighs gallops snorts|pig "
        "oinks squeals grunts|duck quacks flaps|goose honks hisses|rooster crows calls|hen clucks cackles|pigeon coos"
        " flaps|owl hoots calls|crow caws croaks|frog croaks ribbits|cricket chirps trills|bee buzzes hums|fly buzzes"
        " whirs|lion roars growls|snake hisses rattles|whale sings clicks|train rumbles whistles passes|truck rumbles"
        " reverses honks|bus idles brakes hisses|motorcycle revs roars passes|helicopter hovers thuds flies|aeroplane"
        " roars drones passes|boat motors putters hums|siren wails blares|ambulance wails speeds|bicycle clatters "
        "ticks|skateboard rolls scrapes|drill whirs grinds|saw buzzes cuts|hammer strikes pounds bangs|lawnmower "
        "rattles drones|chainsaw revs buzzes|vacuum whirs hums|blender whirs grinds|kettle whistles boils|pan sizzles"
        " fries|microwave beeps hums|toilet flushes gurgles|tap drips runs|door creaks slams closes|bell rings tolls "
        "chimes|clock ticks chimes|telephone rings buzzes|alarm beeps sounds|keyboard clicks clacks|typewriter clacks"
        " dings|printer whirs hums|camera clicks whirs|zipper zips rasps|scissors snip clip|paper crumples "
        "tears|glass breaks clinks shatters|piano plays tinkles|guitar strums plucks|violin plays squeaks|drum beats "
        "rolls|trumpet blares plays|flute trills plays|organ drones plays|harp plucks glides|gun fires cracks|cannon "
        "booms thunders|firework explodes crackles pops|fire crackles roars|thunder rumbles claps|ocean crashes "
        "roars|stream trickles babbles|engine hums knocks rattles|pump throbs hisses|spray hisses squirts|ball "
        "bounces thuds|whip cracks snaps|whistle blows shrills|horn honks toots|steam hisses escapes"
    ).split("|")
}
PLACES = (  # noqa: SIM905
    "nearby|in the distance|in a room|in a large hall|outdoors|on a street|in the background|close by|in a forest|by "
    "the sea|on a farm|in a kitchen|behind a wall|under a bridge|in a garden|at a station|in a tunnel|on a roof|in a "
    "yard|"
).split("|")
MANNERS = (  # noqa: SIM905
    "|loudly|softly|repeatedly|once|twice|faintly|slowly|quickly|steadily|suddenly|rhythmically|briefly|continuously|in"
    " short bursts|on and off|again and again|at a high pitch|at a low pitch|with an echo|with a hum"
).split("|")
LINKS = (" and then ", " while ", " followed by the sound that ", " as ", ", and ", " before ")


def captions(n, seed=0):
    """Clips with captions of the grammar and the events that these tell of."""
    rng = np.random.default_rng(seed)
    sources, weights = list(SOURCES), np.array(list(SOURCES.values()), float)
    clips = []
    for i in range(n):
        chosen = rng.choice(
            len(sources), size=rng.choice([1, 2, 3], p=[0.4, 0.4, 0.2]), replace=False, p=weights / sum(weights)
        )
        parts, events = [], []
        for j in chosen:
            words = sources[j].split(" ")
            k = next(k for k, word in enumerate(words) if word not in ("a", "an")) + 1  # the name ends here
            verb = rng.choice(words[k:]).replace("-", " ")
            parts.append(" ".join([*words[:k], verb, rng.choice(MANNERS), rng.choice(PLACES)]))
            events.append(words[k - 1])
        text = parts[0] + "".join(str(rng.choice(LINKS)) + part for part in parts[1:])
        text = " ".join(text.split()).replace(" ,", ",").capitalize() + "."
        clips.append(Clip(f"{i:06d}", f"{i:06d}.mp4", audio_captions=(text,), heard=tuple(events)))
    return clips


def bound(clips, embed):
    """The mean over clips of the least similarity to any other: no assignment can be lower."""
    vectors = embedded([clip.audio_captions[0] for clip in clips], embed)
    n = len(clips)
    least = [products(vectors[i : i + 500], vectors).min(axis=1) for i in range(0, n, 500)]
    return float(np.concatenate(least).mean())


def mean(clips, embed, block=2000):
    table = curate.assign_donors(clips, embed, block=block)
    return float(table["similarity"].mean()), len(table)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--captions", type=int, default=50_000)
    parser.add_argument("--embed", help="a model of sentence-transformers; default TF-IDF")
    options = parser.parse_args()
    few = captions(2000, seed=1)
    best, _ = mean(few, options.embed)
    found = {f"2000 in blocks of {block}": mean(few, options.embed, block)[0] - best for block in (80, 250, 500)}
    clips = captions(options.captions)
    begun = time.perf_counter()
    similarity, n = mean(clips, options.embed)
    seconds = time.perf_counter() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        json.dumps(
            {
                "embed": options.embed or "TF-IDF",
                "captions": options.captions,
                "different": len({clip.audio_captions for clip in clips}),
                "pairs": n,
                "seconds": round(seconds),
                "peak_gib": round(peak, 2),
                "similarity": round(similarity, 4),
                "bound": round(bound(clips, options.embed), 4),
                "best of 2000": round(best, 4),
                "lost": {name: round(value, 5) for name, value in found.items()},
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
