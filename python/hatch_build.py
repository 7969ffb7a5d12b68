"""Puts the engine's bundle (`npm run build` makes it) and the licenses into the wheel."""

from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class Engine(BuildHookInterface):
    def initialize(self, version, build_data):
        repository = Path(self.root).parent
        bundle = repository / "dist/npm/bundle.js"
        if not bundle.exists():
            raise FileNotFoundError(f"{bundle} is not built: run `npm run build` in {repository} first.")
        build_data["force_include"][str(bundle)] = "topk_lm/bundle.js"
        for text in [*bundle.parent.glob("LICENSE*"), *bundle.parent.glob("THIRD*")]:  # of what the bundle contains, too
            build_data["force_include"][str(text)] = f"topk_lm/licenses/{text.name}"
