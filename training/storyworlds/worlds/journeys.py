"""Ways and travels: maps, boats, trains, hills, messages carried far."""

from ..openings import begin, finish
from . import world


@world
def letter_over_the_hills(w):
    """A message is carried through three places, each with its own obstacle."""
    a = w.hero("a")
    p = w.spot("p", "wild")
    q, r, s = (w.spot(k, "wild") for k in "qrs")
    _b, c = w.mate("b", a), w.mate("c", a)
    x = w.make(
        "x",
        w.pick(["letter", "parcel", "basket", "jar of honey", "medicine", "invitation"]),
        w.pick(["small", "sealed", "important", ""]),
    )
    begin(w, "a", p)
    w.be("b", p)
    w.be("c", s)
    w.own("b", "x")
    w.tell(
        "{b:n} <come> with {x:ao}.",
        "{b:n} <be> ill, but {b} <have> {x:ao} to bring to somebody.",
        "One day, {b:n} <need> help with {x:o}.",
    )
    x.seen = True
    w.say(
        "b",
        f"(Can you bring it to {c.name} before night?|It must be with {c.name} today.|{c.name} is waiting for it. I cannot walk so far.)",
        to="a",
    )
    w.say("a", "(I will bring it.|You can count on me.|I know the way.|I have never gone so far, but I will try.)", to="b")
    w.give("b", "x", "a")
    w.learn("a", "promise", "x", "c")
    for place in (q, r):
        w.go("a", place)
        trouble, way = w.pick(
            [("The bridge <be.s> gone", "{a} <walk> along until {a} <find> stones to step on"), ("A goose <block.s> the way", "{a} <bow> so politely that she <let.s> {a:o} pass" if w.tense == "present" else "{a} bowed so politely that she let {a:o} pass"),
             ("There <be.p> three paths", "{a} <look> for footprints and <take> the middle one"), ("{a:p} legs <grow.p> tired", "{a} <rest> for a little while and <hum> a song"), ("It <begin.s> to rain", "{a} <put> {x:o} under a big leaf and <wait>"),
             ("There <be.p> sweet berries everywhere", "{a} <eat> only three and <go> on"), ("A fallen tree <lie.s> across the path", "{a} <climb> over it, {x} first"), ("Somebody <want.s> {a:o} to stay and play", "{a} <promise> to come back later")]
        )  # fmt: skip
        w.tell(
            f"{trouble}. But {way}.".replace("But {a} ", "But {a:n} " if "{a" not in trouble else "But {a} "),
            f"{trouble}, so {way}." if "goose" not in trouble else f"{trouble}. In the end, {way}.",
            f"{trouble}. Then {way}.",
        )
    w.go("a", s)
    w.set_time("evening")
    w.tell(
        "It <be.s> almost dark. There <stand> {c:n}.",
        "In the last light, {a} <find> {c:no}.",
        "{c:n} <be> already at the window." if not a.animal else "{c:n} <be> already looking down the path.",
    )
    w.give("a", "x", "c")
    w.say("c", "(You came all this way?|How tired you must be!|I waited for this.)", to="a")
    w.feel("c", w.pick(["happy", "thankful"]), p=0.6)
    w.thank("c", "a")
    w.feel("a", w.pick(["proud", "tired"]), p=0.8)
    finish(
        w,
        "a",
        "promise",
        [
            "{a} <sleep> there that night and <go> home in the morning.",
            "The way back <be.s> all downhill.",
            "When {b:n} <hear> it, {b} <feel> better at once.",
        ],
    )


@world
def map_and_island(w):
    """A map, an island, and a treasure that is not gold."""
    _a, _b = w.kid("a"), w.kid("b")
    p = w.where("p", w.pick(["harbor", "beach", "shore", "pier"]), "at", "down to")
    p.inside = "on" if p.noun in ("beach", "pier", "shore") else "at"
    x = w.thing("x", "treasure", "map", w.pick(["old", "yellow", "torn"]))
    begin(w, "a", p)
    w.tell("In a bottle, {a} <find> {x:ao}.", "The sea <have.s> washed up {x:ao}.", "An old sailor <give.s> {a:o} {x:ao}.")
    w.own("a", "x")
    x.seen = True
    w.be("b", p)
    mark = w.pick(["a red cross", "a black star", "a drawing of a skull", "a little crown", "three palm trees"])
    w.tell(
        f"It <show.s> an island with {mark}.",
        f"On it {w.is_are(mark)} {mark}, and under it a word: dig.",
        f"{{a}} <unroll> it. There {w.is_are(mark)} {mark} on a tiny island.",
    )
    w.say("a", "(Will you come with me?|Let us look for the treasure!|We need a boat.)", to="b")
    w.say("b", "(My uncle has a boat.|I will get a spade.|What are we waiting for?|Is it far?)", to="a")
    q = w.where("q", "island", "on", "over to")
    w.tell(
        "They <row.p> for an hour.", "With a small sail, they <cross.p> the water.", "The waves <rock.p> the boat up and down."
    )
    if w.chance(0.5):
        w.tell("A dolphin <swim.s> beside them.", "Once, they <get.p> wet from head to toe.", "{b:n} <turn> a bit green.")
    w.be("a+b", q)
    steps = w.pick(
        [
            "ten steps to the north",
            "twenty steps to the old palm",
            "five steps from the split rock",
            "a hundred steps along the shore",
        ]
    )
    w.say("a", f"(It says: {steps}.|Now we must go {steps}.)", how="read")
    w.tell(
        "They <count.p> and <dig.p>.", "There they <dig.p>, first {a} and then {b:n}.", "The spade <go.s> in deep. Sand <fly.s>."
    )
    w.tell("Then it <hit.s> something hard.", "Clonk! There <be.s> a box.", "Under the sand <be.s> an old chest.")
    find = w.pick(
        [
            "a spyglass and a letter",
            "hundreds of smooth, colored stones",
            "a flag and a captain's hat",
            "a tin of old photographs",
            "two wooden cups and a note: drink to friendship",
            "a book with empty pages and a pen",
            "a flute made of bone",
        ]
    )
    w.feel("a+b", "excited", p=0.6)
    w.tell(
        f"But there <be.s> no gold in it. There <be.s> {find}."
        if "hundreds" not in find
        else f"But there <be.s> no gold in it. There <be.p> {find}.",
        f"They <open.p> it and <find.p> {find}.",
        f"What <be.s> in it? Not gold, but {find}.",
    )
    w.say("b", "(Is that all?|I like it better than gold.|Somebody loved these things.)", to="a")
    w.say(
        "a",
        "(It is the best treasure I know.|And we had the way here.|Let us put something of ours in, for the next ones.)",
        to="b",
    )
    bury = w.chance(0.5)
    if bury:
        w.tell(
            "They <add.p> a drawing of their own and <bury.p> it again.",
            "So they <put.p> in a button and a shell and <close.p> the lid.",
        )
    else:
        w.tell("They <take.p> it home and <show.p> it to everyone.", "They <carry.p> it to the boat between them.")
    w.set_feeling("a+b", "happy")
    w.be("a+b", p)
    finish(
        w,
        "a+b",
        "friend",
        [
            "Years later, they still <talk.p> about that day.",
            "The next day, they <draw.p> a map of their own.",
            "That evening, they <smell.p> of salt and <be.p> happy.",
        ],
    )


@world
def missed_stop(w):
    """On a bus or train, a stop is missed; the way back with strangers' help."""
    a = w.kid("a")
    v = w.pick(["bus", "train", "tram", "ferry", "boat"])
    p = w.where("p", v, "on", "onto")
    w.family("g", a, w.pick(["grandma", "grandpa", "aunt", "uncle"]))
    end_place = w.where(
        "q", w.pick(["last stop", "end of the line", "depot"]) if v not in ("ferry", "boat") else "far bank", "at", "to"
    )
    begin(w, "a", None, hobby=0.3)
    w.tell(
        f"{{a}} <be> on the way to {{g:no}}, all alone on the {v}.",
        f"For the first time, {{a}} <take> the {v} to {{g:no}} alone.",
        f"The {v} <leave.s> at nine, and {{a}} <be> on it. {{g:n}} <will> be waiting.",
    )
    w.be("a", p)
    n = w.pick(["three", "four", "five", "six"])
    w.learn("a", "stops", n)
    w.tell(
        f"It <be.s> the {dict(three='third', four='fourth', five='fifth', six='sixth')[n]} stop where {{a}} <have> to get off.",
        f"{{a}} <have> to count to {n} and then get off.",
    )
    busy = w.pick(
        [
            "{a} <look> at the cows outside",
            "{a} <read> such a good book",
            "{a} <watch> a baby that <make.s> faces",
            "{a} <fall> asleep",
            "{a} <talk> with a man about parrots",
            "{a} <draw> on the window with a finger",
        ]
    )
    w.tell(f"But {busy} and <forget> to count.", f"One stop, two stops. Then {busy}.", f"On the way, {busy}.")
    w.tell(
        f"When {{a}} <look> up, the {v} <be.s> empty.",
        f"The {v} <stop.s>, and everyone <get.s> off. It <be.s> the end.",
        "All at once, nothing outside <look.s> familiar.",
    )
    w.be("a", end_place)
    w.feel("a", w.pick(["scared", "worried"]))
    b = w.job("b", w.pick(["driver", "conductor", "captain" if v in ("ferry", "boat") else "driver", "ticket seller"]))
    w.be("b", end_place)
    w.tell("{b:n} <see> {a:o}.", "There <be> {b:intro}, who <sweep> the floor.", "{b:n} <come> over.")
    w.say("b", "(Where did you want to go?|This is the last stop, my friend.|Did you sleep well?)", to="a")
    w.say("a", "(I should have got off long ago.|{g:n} is waiting for me.|I forgot to count.)", to="b")
    w.say(
        "b",
        "(That happens to the best of us.|We go back in ten minutes. Sit up front with me.|Then we will turn around. Easy!)",
        to="a",
    )
    if w.chance(0.6):
        w.tell("{a} <get> to ring the bell.", "{b} <let> {a:o} wear {b:p} cap.", "{b} <share> {b:p} lunch with {a:o}.")
    w.be("a+b", p)
    w.feel("a", w.pick(["calm", "happy", "relieved"]), p=0.6)
    w.tell(
        f"This time, {{a}} <count>, and so <do.s> the whole {v}.",
        "On the way back, {a} <do> not take {a:p} eyes off the window.",
    )
    stop = w.where("s", "stop", "at", "to")
    w.be("g", stop)
    w.be("a", stop)
    w.tell(
        "{g:n} <stand> there and <wave> with both arms.",
        "And there <be> {g:n}, a little pale." if w.tense == "past" else "And there is {g:n}, a little pale.",
        "{g:n} <hug> {a:o} before {a} <can> say a word.",
    )
    w.say("g", "(Where have you been?|I was so worried!|You are late. Tell me everything.)", to="a")
    w.say("a", "(At the end of the world, and back.|I saw the last stop!|I forgot to count, but then I got help.)", to="g")
    finish(
        w,
        "a",
        "help",
        [
            "After that, {a} always <sit> near the front.",
            "At dinner, they <drink.p> to {b:no}." if b.introduced else "There <be.s> soup, and a long story.",
            "It <be.s> a good story in the end.",
        ],
    )
