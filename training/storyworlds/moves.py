"""What happens in every world, each told in several ways. A move checks the facts, tells, and then changes them."""

from . import feelings
from .cast import Group
from .realiser import parsed
from .world import State


class World(State):
    """`w.tell(…)` writes one of the given templates; the other moves are told and done together."""

    def tell(self, *options: str, **roles):
        self.breathe()
        self.write(self.unused(options), roles)

    def unused(self, options) -> str:
        """One that this story has not told yet, as long as there is one."""
        chosen = self.pick([o for o in options if o not in self.taken] or options)
        self.taken.add(chosen)
        return chosen

    def breathe(self):
        """A paragraph may end once it has a few sentences."""
        if self.sentence - self.began >= self.long and self.chance(0.4):
            self.para()

    def maybe(self, p: float, *options: str, **roles):
        if self.chance(p):
            self.tell(*options, **roles)

    def para(self):
        self.paragraph()
        self.began, self.long = self.sentence, self.pick([3, 4, 5, 6, 8])

    began, long = 0, 5  # the first sentence of the paragraph, and after how many another one may begin

    # Speech

    def say(self, who, text: str, to=None, how: str | None = None, beat: str | None = None):
        """`text` is what is said, whole sentences. `how`: the verb, else by its end; `beat`: a template told before it instead."""
        self.breathe()
        who = self.of(who)
        roles = {"who": who} | ({"to": self.of(to)} if to else {})
        if text.startswith("(") and text.endswith(")") and text.count("(") == 1:
            text = self.unused(text[1:-1].split("|"))
        text = self.choose(parsed(text))
        self.speaker = who
        question, cry = text.endswith("?"), text.endswith("!")
        verb = how or self.pick(["ask", "ask", "wonder"] if question and not to else ["ask"] if question else
                                ["say", "say", "say", "cry", "cry", "call", "shout"] if cry else ["say", "say", "answer" if to and self.spoke is roles["to"] else "say"])  # fmt: skip
        inner = text if question or cry else text[:-1] + ","
        head, _, rest = text.partition(". ") if ". " in text else text.partition("! ")
        options = [f'"{inner}" {{who}} <{verb}>.', f'"{inner}" {{who}} <{verb}>.', f'{{who}} <{verb}>, "{text}"']
        if self.tense == "past" and not isinstance(who, Group):
            options += [f'"{inner}" <{verb}> {{who:n}}.'] * 2
        if rest and "?" not in head and "..." not in text:
            options += [f'"{head}," {{who}} <{verb if not question else "say"}>. "{rest}"'] * 2
        if to and not question and verb in ("say", "answer"):
            options += [f'"{inner}" {{who}} <tell> {{to:o}}.', f'{{who}} <say> to {{to:o}}, "{text}"']
        if to and question:
            options += [f'{{who}} <ask> {{to:o}}, "{text}"', f'"{inner}" {{who}} <ask> {{to:o}}.']
        if beat or self.chance(0.15):
            gesture = beat or self.pick(self.gestures(who, to))
            options = [f'{gesture}. "{text}"']
        self.write(self.pick(options), roles)
        self.speaker, self.spoke = None, who

    spoke = None

    def gestures(self, who, to) -> list[str]:
        glad = not isinstance(who, Group) and who.feeling in feelings.GLAD
        some = [
            "{who} <think> (for a moment|about it|hard)",
            "{who} <stop> (for a moment|and <look> up)",
            "{who} <take> a (deep |)breath",
        ]
        some += (
            ["{who} <smile>", "{who} <laugh>", "{who} <nod>", "{who} <grin>"]
            if glad
            else ["{who} <sigh>", "{who} <swallow>", "{who} <look> up"]
        )
        if to:
            some += [
                "{who} <turn> to {to:o}",
                "{who} <look> at {to:o}",
                "{who} <lean> over to {to:o}",
                "{who} <come> closer to {to:o}",
            ]
        return some

    # Feelings

    def feel(self, who, feeling: str, because: str = "", tell: bool = True, p: float = 1.0):
        """`because`: a clause after "because", with the roles."""
        who = self.of(who)
        if tell and self.chance(p):
            adjective = self.pick(feelings.ADJECTIVES[feeling])
            plain = [f"{{a}} <feel> {adjective}", f"{{a}} <be> {adjective}"]
            if because:
                shape = self.pick(
                    [
                        f"{plain[0]} because {because}",
                        f"{plain[1]} because {because}",
                        f"Because {because}, {{a}} <feel> {adjective}",
                    ]
                )
            elif self.chance(0.45):
                bare = adjective.removeprefix("very ").removeprefix("so ")
                some = [
                    *plain,
                    f"Now {{a}} <be> {adjective}",
                    f"{{a}} <look> {adjective}",
                    f"{{a}} <can> not help feeling {adjective}",
                ]
                some += [] if " " in bare else [f"How {bare} {{a}} <be>", f"{{a}} <have> never felt so {bare} before"]
                shape = self.pick(some)
            else:
                shape = self.pick(feelings.SIGNS[feeling])
                if isinstance(who, Group):
                    shape = plain[0]
            self.write(shape + (self.pick([".", ".", "!"]) if feeling in ("excited", "surprised", "happy") else "."), {"a": who})
        self.set_feeling(who, feeling)

    # Movement

    WALKS = ["go", "walk", "run", "hurry", "set off", "make {a:p} way", "head"]

    def go(self, who, place, tell: bool = True, why: str = ""):
        """`why`: an infinitive clause ("to look for {x:o}")."""
        who, place = self.of(who), self.of(place)
        if all(one.place is place for one in self.each(who)):
            return
        if tell:
            walk = self.pick(self.WALKS).split(" ", 1)
            verb = f"<{walk[0]}>" + (f" {walk[1]}" if len(walk) > 1 else "")
            why = f" {why}" if why else ""
            when = self.pick(["", "", "", "So ", "Then ", "After that, ", "A little later, ", "Right away, ", "Next, "])
            self.write(f"{when}{{a}} {verb} {{q:to}}{why}.", {"a": who, "q": place})
        self.be(who, place)

    # Things

    def own(self, who, thing):
        who, thing = self.of(who), self.of(thing)
        thing.owner = who
        self.hold(who, thing)

    def take(self, who, thing, *options: str):
        who, thing = self.of(who), self.of(thing)
        self.must_reach(who, thing)
        self.tell(*(options or ("{a} <pick> {x:ito} up.", "{a} <pick> up {x:o}.", "{a} <take> {x:o}.", "{a} <reach> for {x:o} and <take> {x:ito}.",
                  "{a} (gently|carefully|quickly) <pick> up {x:o}.", "{a} <take> {x:o} in {a:p} {a:hands}.", "{a} <grab> {x:o}.",
                  "{a} <lift> {x:o} up (|carefully).", "{a} <bend> down and <take> {x:o}.")), a=who, x=thing)  # fmt: skip
        self.hold(who, thing)

    def give(self, who, thing, to, *options: str):
        who, thing, to = self.of(who), self.of(thing), self.of(to)
        self.must_hold(who, thing)
        self.must_meet(who, to)
        self.tell(*(options or ("{a} <give> {x:o} to {b:o}.", "{a} <give> {b:o} {x:o}.", "{a} <hand> {x:o} to {b:o}.", "{a} <pass> {x:o} to {b:o}.",
                  "{a} <hold> out {x:o}, and {b} <take> {x:ito}.", "{a} <put> {x:o} into {b:p} {b:hands}.", "{b} <take> {x:o} from {a:o}.",
                  "{a} <let> {b:o} have {x:o}.", "{a} <hold> {x:o} out to {b:o}. {b} <take> {x:ito} (with a smile|gently|with both {b:hands}).")),
                  a=who, x=thing, b=to)  # fmt: skip
        self.hold(to, thing)

    def put(self, who, thing, where: str, *options: str):
        """`where`: "under the bed", at the place where `who` is."""
        who, thing = self.of(who), self.of(thing)
        self.must_hold(who, thing)
        self.tell(*(options or (f"{{a}} <put> {{x:o}} {where}.", f"{{a}} <lay> {{x:o}} {where}.", f"{{a}} <leave> {{x:o}} {where}.",
                  f"Then {{a}} <set> {{x:o}} down {where}.")), a=who, x=thing)  # fmt: skip
        self.lay(thing, who.place, where)

    def eat(self, who, thing, *options: str):
        who, thing = self.of(who), self.of(thing)
        self.must_reach(self.each(who)[0], thing)
        self.tell(
            *(
                options
                or (
                    "{a} <eat> {x:o} (up|all up|bit by bit).",
                    "{a} <eat> every bit of {x:o}.",
                    "{a} <finish> {x:o} to the last crumb.",
                )
            ),
            a=who,
            x=thing,
        )
        self.gone(thing)

    # Manners

    def thank(self, who, to):
        name = "" if self.of(to).name.startswith("the ") else ", {to:n}"  # nobody is called "the baker"
        self.say(who, self.pick(["Thank you!", "Thank you so much!", f"Thank you{name}!", f"Thanks{name}. You are (a good friend|very kind|the best)!",
                                 "Thank you. I will never forget this.", "How kind of you! Thank you.", "Oh, thank you, thank you!",
                                 "You are so kind. Thank you."]), to=to)  # fmt: skip

    def welcome(self, who, to):
        self.say(who, self.pick(["You are welcome.", "That is what friends are for.", "I was glad to help.", "It was nothing.",
                                 "Any time!", "I am happy to help.", "You would do the same for me."]), to=to)  # fmt: skip

    def sorry(self, who, to, for_what: str = ""):
        self.feel(who, "sorry", p=0.5)
        tail = f" {for_what}" if for_what else ""
        self.say(who, self.pick([f"I am sorry{tail}.", f"I am so sorry{tail}.", f"Please forgive me. I am sorry{tail}.",
                                 f"I feel bad{' ' + for_what if for_what else ''}. I am sorry.", f"I am very sorry{tail}."]), to=to)  # fmt: skip

    def forgive(self, who, to):
        self.say(who, self.pick(["It is all right.", "I forgive you.", "I am not angry anymore.", "Everyone makes mistakes.", "Thank you for telling me.",
                                 "That is fine. We are still friends.", "Let us forget about it.", "I know you did not mean it."]), to=to)  # fmt: skip

    def hug(self, one, other):
        self.tell("{a} <hug> {b:o}.", "{a} <give> {b:o} a (big|warm|long) hug.", "{a} <throw> {a:p} {a:arms} around {b:o}.",
                  "{a+b} <hug> (|for a long time).", "{a} <take> {b:o} in {a:p} {a:arms}.", a=self.of(one), b=self.of(other))  # fmt: skip

    # Time and weather

    def night(self):
        self.tell("The sun <go.s> down, and it <get.s> dark.", "Soon it <be.s> evening.", "The stars <come.p> out one by one.",
                  "The day <be.s> over, and the moon <climb.s> into the sky.", "When it <be.s> dark outside, everything <grow.s> quiet.",
                  "Evening <come.s>, and the sky <turn.s> (pink|dark blue|purple).")  # fmt: skip
        self.set_time("night")

    def next_day(self):
        self.para()
        self.tell("The next (morning|day), the sun <be.s> shining.", "A new day <begin.s>.", "The next morning <come.s> (soon|fast|slowly).",
                  "When the sun <come.s> up again, the birds <be.p> singing.", "It <be.s> early the next morning.",
                  "The night <go.s> by, and the sun <rise.s> again.", "On the (next|following) day, it <be.s> (warm|cool|bright|windy).")  # fmt: skip
        self.set_time("morning")

    def turns(self, weather: str):
        """The weather changes, and is told."""
        self.tell(*WEATHER[weather])
        self.set_weather(weather)


WEATHER = {
    "rain": ["It <begin.s> to rain.", "Dark clouds <come.p>, and rain <fall.s> from the sky.", "Drops of rain <begin.p> to fall.",
             "Soon the rain <come.s> down hard.", "The sky <turn.s> gray, and it <rain.s> and <rain.s>.", "All at once, it <pour.s>."],
    "storm": ["A storm <come.s> up.", "Thunder <roll.s> across the sky.", "Lightning <flash.s>, and the wind <howl.s>.",
              "The wind <grow.s> strong, and thunder <shake.s> the air.", "Black clouds <cover.p> the sky, and a storm <break.s>."],
    "snow": ["It <begin.s> to snow.", "Soft white snow <fall.s> from the sky.", "Snow <cover.s> (the ground|everything|the roofs and the trees).",
             "Big flakes of snow <dance.p> in the air.", "By noon, everything <be.s> white with snow."],
    "wind": ["The wind <begin.s> to blow.", "A strong wind <come.s> up.", "A (sudden |)gust of wind <blow.s> (past|by).",
             "The trees <bend.p> in the wind.", "The wind <whistle.s> (around the house|through the trees)."],
    "fair": ["The sun <come.s> out again.", "The clouds <go.p> away.", "Soon the sky <be.s> blue again.", "At last the sky <clear.s>.",
             "Sunlight <break.s> through the clouds.", "Then the sun <peek.s> out from behind a cloud."],
    "fog": ["Thick fog <come.s> down.", "A white fog <cover.s> everything.", "Fog <roll.s> in, and the world <turn.s> gray."],
    "hot": ["It <be.s> very hot.", "The sun <burn.s> down.", "The air <be.s> hot and still."],
}  # fmt: skip
