// The pages of the documentation: which Markdown file becomes which page, and under which heading of the navigation.

/** `source` is relative to the root of the project, `to` to the site's docs/; `label`: its name in the navigation, if not its title. */
const page = (source, to, label) => ({ source, to, label });

export const START = page('docs/README.md', 'index.html');

/** In the order of the navigation. Pages of the API references are added by the build, at the end of the section that `api` names. */
export const SECTIONS = [
  {
    title: 'Guides',
    pages: [
      page('docs/guides/curious.md', 'guides/curious.html'),
      page('docs/guides/researcher.md', 'guides/researcher.html'),
      page('docs/guides/web-developer.md', 'guides/web-developer.html'),
      page('docs/guides/notebooks.md', 'guides/notebooks.html'),
      page('docs/own-model.md', 'own-model.html'),
      page('docs/hosting.md', 'hosting.html'),
    ],
  },
  { title: 'Definitions', pages: ['semantics', 'sampling', 'statistics', 'files'].map((name) => page(`docs/${name}.md`, `${name}.html`)) },
  {
    title: 'Python',
    pages: [
      page('python/README.md', 'python.html', 'The package for notebooks'),
      page('examples/notebooks/README.md', 'notebooks.html', 'The example notebooks'),
      page('examples/cluster/README.md', 'cluster.html', 'Ray and Slurm'),
    ],
  },
  {
    title: 'JavaScript',
    api: 'js',
    pages: [
      page('js/README.md', 'js/index.html', 'Using the package'),
      page('examples/nearest/README.md', 'nearest.html', 'Nearest neighbors by TopK'),
    ],
  },
  {
    title: 'Rust and the command',
    api: 'rust',
    pages: [page('docs/command-line.md', 'command-line.html'), page('crate/README.md', 'crate.html', 'Using the crate')],
  },
  {
    title: 'Project',
    pages: [
      page('crate/src/features/README.md', 'features.html', 'Files of statistics'),
      page('training/README.md', 'training.html'),
      page('training/claims/README.md', 'claims.html', 'What we measured'),
      page('tests/goldens/README.md', 'goldens.html', 'Goldens'),
      page('CHANGELOG.md', 'changelog.html'),
    ],
  },
];
